"""The database: opening SQLite and PostgreSQL, the schema, and what errors mean."""
