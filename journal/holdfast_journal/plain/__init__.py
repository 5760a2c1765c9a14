"""Journals without a database: no SQL and no Twisted."""
