"""Serving flows in a command, which from then on prints through `say`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.cli.logs import log_what_goes_wrong
from holdfast.operating.service import EVERYWHERE, Service
from holdfast.operating.supervising import Supervised
from holdfast.rendezvous import MOST_CONNECTIONS

if TYPE_CHECKING:
    from holdfast.timing import DebugTiming


@contextmanager
def serving(
    db: str,
    *,
    serve: Sequence[str] = EVERYWHERE,
    connections: int = MOST_CONNECTIONS,
    timing: DebugTiming | None = None,
    retain: float | None = None,
    status: Callable[[], str | None] = lambda: None,
) -> Iterator[Service]:
    """Open a `Service` for one command; its arguments are the service's.

    `status` says in one line how the flows stand, for a service manager.

    Raises JournalError.
    """
    from twisted.internet import reactor

    say.take_over()  # here, because flows may be started next
    with Service(db, say.tell, serve, connections, timing, retain) as service:
        log_what_goes_wrong()
        reactor.callWhenRunning(Supervised.by_environment(reactor, status=status).ready)
        yield service
