"""Journals without a database, without SQL and Twisted."""
