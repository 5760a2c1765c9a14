"""The mailbox server for operators."""
