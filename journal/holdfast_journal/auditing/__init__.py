"""What operators do, written down in the transaction that does it."""
