"""Measurements; nothing here is asserted in the test suite."""
