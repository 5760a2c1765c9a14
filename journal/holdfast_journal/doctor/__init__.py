"""Is all well: the checks of flows, of the database around them, and of its keys."""
