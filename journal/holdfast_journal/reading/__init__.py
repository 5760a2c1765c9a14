"""What operators see of flows, histories and workers."""
