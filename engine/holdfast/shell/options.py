"""What an application asks of its wormhole, as one value."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.shell.lull import Lull
from holdfast.shell.patience import Clock
from holdfast.status import Status
from holdfast.timing import DebugTiming


def fresh_seed() -> bytes:
    """Return the seed of an event: 32 random bytes."""
    return os.urandom(32)


@frozen(weakref_slot=False)
class Options:
    """How a wormhole behaves; none of it is in its document.

    Args:
        on_status_update: called with a `holdfast.status.Status` when the connection or the key has
            come further.
        timing: records when every message went and came.
        welcome_handler: called with the server's welcome.
        first_failure_is_final: whether a server that is not there at first ends the wormhole.
        lull: until when the server's echoes may wait to be heard; None to hear them at once. Only
            for a journal that need not write them down at once.
        clock: Twisted's reactor, or None to wait without limit for a server that says nothing.
        tor: what the wormhole connects through, if it is Tor; for what is made of it.
        now: returns the time, in seconds since the epoch.
        on_broken: called with the failure when the application raises inside an event; without it
            the delegate's `wormhole_closed` is.
        careful: whether each event is a commit of its own, so that if the application fails at one
            event, no other is undone. Otherwise what the server says at once is one commit.
        discreet: whether the code is told only when the server has our first message, so that a
            peer that enters the code will find us. A code that is lost before that is replaced,
            and was never shown. Otherwise it is told when it is known, as the stock library does.
        kept: finds messages again, by their numbers, that `DelegatedWormhole.take_shown` gave: at
            least the first of the numbers that it is asked for.
        entropy: returns 32 random bytes for each event.
    """

    on_status_update: Callable[[Status], object] | None = None
    timing: DebugTiming | None = None
    welcome_handler: Callable[[dict[str, Any]], object] | None = None
    first_failure_is_final: bool = False
    lull: Lull | None = None
    clock: Clock | None = None
    tor: object = None
    now: Callable[[], float] = time.time
    on_broken: Callable[[Failure], object] | None = None
    careful: bool = False
    discreet: bool = False
    kept: Callable[[Sequence[int]], Deferred[Mapping[int, bytes]]] | None = None
    entropy: Callable[[], bytes] = fresh_seed
