"""The commands with other people's programs at the other end."""
