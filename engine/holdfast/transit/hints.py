"""Where a side can be reached, as the two tell each other (transit.md, "Canonical hint encodings").

What a peer says is hostile: `parse` skips what is bad, one hint after another, and takes no more
than `MOST`. Pure.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from math import isfinite
from typing import Any, Final, TypeAlias

from attrs import frozen

MOST: Final = 200
"""Hints of a peer that are looked at, those inside a relay's included."""

HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
"""What a name looks like. Other alphabets are spelt in this one (RFC 5890, section 2.3.2.1)."""

RELAY: Final = re.compile(
    r"(?:tcp:)?(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})(?::priority=[0-9.]+)?"
)


@frozen
class DirectHint:
    """A host that listens.

    Args:
        host: a name, or an IPv4 or IPv6 address.
        port: 1 to 65535.
        priority: the higher, the sooner it is tried.
        tor: whether only Tor leads there.
    """

    host: str
    port: int
    priority: float = 0.0
    tor: bool = False


@frozen
class RelayHint:
    """A relay, and the addresses at which it is found."""

    hosts: tuple[DirectHint, ...]


Hint: TypeAlias = DirectHint | RelayHint


def abilities() -> list[dict[str, str]]:
    """The kinds of hints that we understand, for the peer."""
    return [{"type": "direct-tcp-v1"}, {"type": "relay-v1"}]


def encode(hints: Iterable[Hint]) -> list[dict[str, Any]]:
    """`hints` as JSON values, in the types that every client accepts."""
    return [
        _encode_direct(hint)
        if isinstance(hint, DirectHint)
        else {"type": "relay-v1", "hints": [_encode_direct(host) for host in hint.hosts]}
        for hint in hints
    ]


def parse(value: object) -> tuple[Hint, ...]:
    """The good ones among the hints that a peer gave, in its order."""
    room = MOST
    good: list[Hint] = []
    for each in value[:MOST] if isinstance(value, list | tuple) else ():
        if not isinstance(each, dict):
            continue
        room -= 1
        hint: Hint | None = None
        if each.get("type") == "relay-v1":
            inside = each.get("hints")
            listed = inside[: max(room, 0)] if isinstance(inside, list | tuple) else ()
            room -= len(listed)
            hosts = tuple(host for host in map(_parse_direct, listed) if host is not None)
            hint = RelayHint(hosts) if hosts else None
        else:
            hint = _parse_direct(each)
        if hint is not None:
            good.append(hint)
    return tuple(good)


def limited(hints: Iterable[Hint]) -> tuple[Hint, ...]:
    """The first of `hints`, each of them once, and no more than `parse` would take."""
    room = MOST
    kept: list[Hint] = []
    for hint in dict.fromkeys(hints):
        room -= 1 + (len(hint.hosts) if isinstance(hint, RelayHint) else 0)
        if room < 0:
            break
        kept.append(hint)
    return tuple(kept)


def address(text: str) -> DirectHint:
    """The relay that is named as `tcp:HOST:PORT` or `HOST:PORT`, an IPv6 address in brackets.

    Raises:
        ValueError: that is something else.
    """
    found = RELAY.fullmatch(text)
    if found is not None:
        host, port = found["v6"] or found["host"], _port(found["port"])
        is_v6 = found["v6"] is not None
        if port is not None and host and is_host(host) and is_v6 == (":" in host):
            return DirectHint(host, port)
    raise ValueError("a transit relay is named as tcp:HOST:PORT, such as tcp:relay.example:4001")


def is_host(host: str) -> bool:
    """Whether `host` may be a name or an address; a zone of this host's is neither."""
    try:
        address = ip_address(host)
    except ValueError:
        return HOST.fullmatch(host) is not None
    return not (isinstance(address, IPv6Address) and address.scope_id)


def needs_tor(hint: DirectHint) -> bool:
    """Whether only Tor leads there."""
    return hint.tor or hint.host.endswith(".onion")


def is_local(hint: DirectHint) -> bool:
    """Whether Tor does not lead there: it is an address of a private network, or of this host."""
    try:
        return not ip_address(hint.host).is_global
    except ValueError:
        return hint.host == "localhost"


def _encode_direct(hint: DirectHint) -> dict[str, Any]:
    return {
        "type": "tor-tcp-v1" if hint.tor else "direct-tcp-v1",
        "hostname": hint.host,
        "port": hint.port,
        "priority": float(hint.priority),
    }


def _parse_direct(value: object) -> DirectHint | None:
    if not isinstance(value, dict):
        return None
    kind, host, port = value.get("type"), value.get("hostname"), _port(value.get("port"))
    if kind not in ("direct-tcp-v1", "tor-tcp-v1") or port is None:
        return None
    if not isinstance(host, str) or not is_host(host):
        return None
    return DirectHint(host, port, _priority(value.get("priority")), kind == "tor-tcp-v1")


def _port(value: object) -> int | None:
    """Some clients give a port as text, or as a number with a fraction of zero."""
    if isinstance(value, str):
        value = int(value) if re.fullmatch("[0-9]{1,5}", value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 65535:
        return None
    return int(value) if value == int(value) else None


def _priority(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        return float(value) if isfinite(value) else 0.0
    except OverflowError:
        return 0.0
