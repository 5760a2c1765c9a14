"""Connections that outlive their process, because another one holds their descriptors, too.

A keeper holds descriptors under names, and gives one back when who gave it is dead, or has let go
of it. All that the next process must know besides, and has not in its flow's document, is in the
name: how far the two streams were when they began (`holdfast.transit.positions`).
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final, Protocol, Self

from attrs import field, frozen

from holdfast.crypto import derive
from holdfast.transit.positions import Position

FORMAT: Final = "holdfast1"
"""Names begin with it. A process that would make another stream of the same file, for instance in
records of another size, must use another one."""

_NAME: Final = re.compile(
    rf"(?P<flow>{FORMAT}-[0-9a-f]{{1,64}}-)(?P<tag>[0-9a-f]{{32}}-)"
    r"(?P<sent>\d{1,20})-(?P<taken>\d{1,20})"
)

_TAG: Final = "holdfast kept connection"


class Keeper(Protocol):
    """Holds descriptors beyond the death of this process.

    Every method blocks, for a few seconds at most, and may be called from any thread. None raises:
    a keeper that does not answer holds nothing.
    """

    def keep(self, name: str, descriptor: int) -> bool:
        """Hold a duplicate of `descriptor`; return whether it may be held."""
        ...

    def take(self, flow: str, tag: str) -> tuple[str, int] | None:
        """Return a name that begins with `flow` and `tag`, and a duplicate of its descriptor.

        It stays with the keeper. None if there is none; or if somebody who is alive uses it, and
        does not let go of it within some seconds.
        """
        ...

    def release(self, name: str) -> None:
        """We have let go of it, and others may take it."""
        ...

    def drop(self, flow: str) -> None:
        """Close all whose names begin with `flow`."""
        ...


@frozen
class Kept:
    """A connection that a keeper holds.

    Args:
        flow: how the names of all connections of its flow begin.
        tag: which of them it is, as only those know who have its keys.
        begins: how far it was when its two streams began.
    """

    flow: str
    tag: str = field(repr=False)
    begins: Position

    @property
    def name(self) -> str:
        """What keepers know it by."""
        return f"{self.flow}{self.tag}{self.begins.sent}-{self.begins.taken}"

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Read a name; None if it is not one of ours."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        begins = Position(int(found["sent"]), int(found["taken"]))
        return cls(found["flow"], found["tag"], begins)


def flow_of(key: str) -> str:
    """Return how the names of all connections of a flow begin; its key is hexadecimal."""
    return f"{FORMAT}-{key}-"


def tag_of(transit_key: bytes) -> str:
    """Return how the names of the connections with this key go on."""
    return derive(transit_key, _TAG, 16).hex() + "-"


def socket_of(transport: Any) -> socket.socket | None:
    """Return the TCP socket of Twisted's transport, which has sent all that was written to it.

    None if it has something else, such as a layer of encryption, which lives in this process.
    """
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if not isinstance(handle, socket.socket) or handle.type != socket.SOCK_STREAM:
        return None
    if handle.family not in (socket.AF_INET, socket.AF_INET6) or not transport.connected:
        return None
    transport.doWrite()  # a few bytes at most, for which a new socket always has room
    return handle
