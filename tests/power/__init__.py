"""Power cuts: every state that one could leave is built from what a real run wrote."""
