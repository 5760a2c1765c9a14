"""Bulk data between two sides that share a key: hints, one connection, and its records.

It knows keys and addresses, not wormholes (transit.md).
"""

from holdfast.transit.network import network_of, through

__all__ = ["network_of", "through"]
