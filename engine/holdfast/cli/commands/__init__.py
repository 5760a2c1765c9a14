"""A module for each subcommand; each has `command`, a click command."""
