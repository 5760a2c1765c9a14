"""The first bytes of a connection that was chosen: under which keys its records travel.

With a stock client, the keys follow from the transit key (transit.md, "Records"), and there is only
one connection. Between two Holdfasts there may be many. Each would begin to count its nonces at
zero, so each has keys of its own: both sides say 32 fresh random bytes, in the clear, and the keys
are derived from the transit key and both of these salts.
"""

from __future__ import annotations

import os
from typing import Final

from holdfast.flows.shipped.cargo import Line
from holdfast.transit.bulk import Bulk
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.wire import receive_exactly

SALT: Final = 32
"""Bytes."""


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
