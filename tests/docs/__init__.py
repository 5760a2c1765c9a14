"""The manual does what it says."""
