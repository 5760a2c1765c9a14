"""The stock relay for the tests of this folder."""

from tests.harness.stock_relay import relay

__all__ = ["relay"]
