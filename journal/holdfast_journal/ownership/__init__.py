"""Who runs which flow: starting, taking, sharing and giving back."""
