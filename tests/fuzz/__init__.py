"""Fuzzing of everything that reads input from outside: a value or a defined error."""
