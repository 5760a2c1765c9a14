"""The first bytes of a connection that was chosen: under which keys its records travel.

With a stock client, the keys follow from the transit key (transit.md, "Records"), and there is only
one connection. Between two Holdfasts there may be many. Each would begin to count its nonces at
zero, so each has keys of its own: both sides say 32 fresh random bytes, in the clear, and the keys
are derived from the transit key and both of these salts.

They also agree on the cipher, in their first records: the receiver names in `ciphers` what it would
like, the sender in `cipher` what it takes of that. Holdfasts that know only the stock clients'
cipher pass over both.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from holdfast.flows.shipped.cargo import CannotGoOn, Line
from holdfast.transfer.pumping import Nonsense
from holdfast.transit.bulk import AES, FRONT, MOST, Bulk
from holdfast.transit.errors import WireError
from holdfast.transit.kept_wire import KeptWire
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.positions import Position
from holdfast.transit.unread import Unread
from holdfast.transit.wire import receive_exactly

SALT: Final = 32
"""Bytes."""

PROCESSOR: Final = Path("/proc/cpuinfo")
"""Where Linux says what the processor can do."""


@frozen
class Opened:
    """A connection that is ready for records.

    Args:
        bulk: its record pipe.
        sent: bytes of records that an earlier process has sent.
        taken: bytes of records that an earlier process has taken from it, and put away.
        unread: those that come, if the connection is kept.
    """

    bulk: Bulk
    sent: int = 0
    taken: int = 0
    unread: Unread | None = field(default=None, repr=False)

    def arrived(self, have: int, size: int) -> int:
        """Return how much of a file of `size` bytes an earlier process has taken.

        It may have put away more, `have` bytes, which are in the socket still.

        Raises:
            CannotGoOn: it is not here any more.
            WireError: the connection broke.
        """
        if self.unread is None or not self.taken:
            return 0
        if have == size and not self.unread.wire.waiting():
            return size
        arrived = self.taken - FRONT * self.unread.next_number()
        if not 0 <= arrived <= min(have, size):
            raise CannotGoOn("what an earlier process has received is not here any more")
        return arrived


def opened(line: Line, role: Role) -> Opened:
    """Return a connection that is ready for records.

    Raises:
        WireError: it broke.
    """
    keys, before = TransitKeys(line.key), Position(0, 0)
    if isinstance(line.wire, KeptWire):
        before = _choice_made(line.wire, keys, role)
    if line.resumes:
        ours = os.urandom(SALT)
        line.wire.send(ours)
        theirs = receive_exactly(line.wire, SALT)
        salts = (ours, theirs) if role == "sender" else (theirs, ours)
        keys = keys.fresh(*salts)
    other: Role = "receiver" if role == "sender" else "sender"
    send_key, receive_key = keys.record_key(role), keys.record_key(other)
    unread = Unread(line.wire, receive_key, MOST) if isinstance(line.wire, KeptWire) else None
    bulk = Bulk(line.wire, send_key, receive_key, incoming=unread)
    return Opened(bulk, before.sent, before.taken, unread)


def _choice_made(wire: KeptWire, keys: TransitKeys, role: Role) -> Position:
    """Say and hear what is missing of the choice, with which the two streams of a kept one begin.

    Raises:
        WireError: the connection broke, or the sender has chosen another one.
    """
    says, hears = keys.choosing(role)
    at = wire.position()
    if at.sent < 0 or at.taken < 0:
        raise WireError("It is not known how far the connection is.")
    if at.sent < len(says):
        wire.send(says[at.sent :])
    rest = hears[at.taken :]
    if receive_exactly(wire, len(rest)) != rest:
        raise WireError("The other side chose another connection.")
    return Position(max(0, at.sent - len(says)), max(0, at.taken - len(hears)))


def liked_ciphers(processor: Path = PROCESSOR) -> list[str]:
    """Return the ciphers that are faster here than the stock clients'."""
    try:
        words = processor.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return [AES] if sys.platform == "darwin" else []  # all of its processors have it
    return [AES] if "aes" in words else []


def taken_cipher(liked: object) -> dict[str, str]:
    """Return the sender's answer to `liked`, which the receiver has said; empty for none."""
    takes = isinstance(liked, list) and AES in liked and AES in liked_ciphers()
    return {"cipher": AES} if takes else {}


def receive_by(bulk: Bulk, answer: dict[str, Any], liked: list[str]) -> None:
    """Open what comes from now on as the sender's `answer` says.

    Raises:
        Nonsense: that is none of those that were `liked`.
    """
    cipher = answer.get("cipher")
    if cipher is None:
        return
    if cipher not in liked:
        raise Nonsense("The other side seals in a way that was not agreed on.")
    bulk.receive_by_aes()
