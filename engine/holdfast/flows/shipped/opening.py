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

from holdfast.flows.shipped.cargo import Line
from holdfast.transfer.pumping import Nonsense
from holdfast.transit.bulk import AES, Bulk
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.wire import receive_exactly

SALT: Final = 32
"""Bytes."""

PROCESSOR: Final = Path("/proc/cpuinfo")
"""Where Linux says what the processor can do."""


def opened(line: Line, role: Role) -> Bulk:
    """Return the record pipe of a connection.

    Raises:
        WireError: it broke.
    """
    keys = TransitKeys(line.key)
    if line.resumes:
        ours = os.urandom(SALT)
        line.wire.send(ours)
        theirs = receive_exactly(line.wire, SALT)
        salts = (ours, theirs) if role == "sender" else (theirs, ours)
        keys = keys.fresh(*salts)
    other: Role = "receiver" if role == "sender" else "sender"
    return Bulk(line.wire, keys.record_key(role), keys.record_key(other))


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
