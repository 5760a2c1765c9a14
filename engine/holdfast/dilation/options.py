"""How a wormhole is dilated: what its application asked for, and what survives a restart."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from attrs import Attribute, field, frozen

from holdfast.transit.hints import address

PING_INTERVAL: Final = 30.0
"""Seconds between two pings, as with the stock library."""


def _relay(_instance: object, _attribute: Attribute[Any], relay: str | None) -> None:
    if relay is not None:
        address(relay)


def _seconds(_instance: object, attribute: Attribute[Any], seconds: float | None) -> None:
    if seconds is not None and not (isfinite(seconds) and seconds > 0):
        raise ValueError(f"{attribute.name} is a number of seconds above 0, not {seconds}")


@frozen
class DilateOptions:
    """The arguments of `dilate`, as JSON values.

    Args:
        relay: our relay, as `tcp:HOST:PORT`, or None.
        no_listen: whether nobody may connect to us.
        ping_interval: seconds between the leader's pings; after two without a sign of life it
            connects anew.
        expected: the names of subprotocols that the peer may open; None for all.
        peer_timeout: seconds without any connection after which the peer is given up; None to wait
            for ever.

    Raises:
        ValueError: `relay` is malformed, or a time is not a number of seconds above 0.
    """

    relay: str | None = field(default=None, validator=_relay)
    no_listen: bool = False
    ping_interval: float = field(default=PING_INTERVAL, validator=_seconds)
    expected: list[str] | None = None
    peer_timeout: float | None = field(default=None, validator=_seconds)
