"""A code that a person types: what completes it, on a terminal or elsewhere."""
