"""Bulk data between two sides that share a key: hints, one connection, and its records.

It knows keys and addresses, not wormholes (transit.md).
"""
