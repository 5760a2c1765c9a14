"""Which worker runs which flow: starting, taking, sharing and giving back."""
