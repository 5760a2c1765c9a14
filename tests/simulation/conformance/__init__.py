"""The model of the mailbox server and the real one, side by side."""
