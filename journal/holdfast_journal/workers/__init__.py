"""The processes that run flows: their locks, their lease and their clocks."""
