"""What an operator does with a database: its schema, its keys, and flows that ended long ago."""
