"""From an event to the disk: what a flow records, and the writer that makes it durable."""
