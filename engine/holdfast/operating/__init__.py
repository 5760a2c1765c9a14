"""What an operator does with flows, on whatever screen: no click, and no web."""
