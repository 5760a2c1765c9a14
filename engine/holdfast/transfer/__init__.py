"""What the two sides of a transfer say to each other."""
