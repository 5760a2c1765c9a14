"""Serving flows in a command, which from then on prints through `say`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.cli.logs import log_what_goes_wrong
from holdfast.cli.telemetry import tell_where, worker_telemetry
from holdfast.operating.keepers import keeper_for
from holdfast.operating.service import EVERYWHERE, Service
from holdfast.operating.sharing import NO_LIMITS, Limits
from holdfast.operating.supervising import Manager, Supervised
from holdfast.rendezvous import MOST_CONNECTIONS

if TYPE_CHECKING:
    from holdfast.rendezvous.tor import TorManager
    from holdfast.timing import DebugTiming


@contextmanager
def serving(  # noqa: PLR0913 - the arguments of a Service
    db: str,
    *,
    serve: Sequence[str] = EVERYWHERE,
    connections: int = MOST_CONNECTIONS,
    timing: DebugTiming | None = None,
    retain: float | None = None,
    http: str | None = None,
    status: Callable[[], str | None] = lambda: None,
    tor: TorManager | None = None,
    limits: Limits = NO_LIMITS,
) -> Iterator[Service]:
    """Open a `Service` for one command; its arguments are the service's.

    With `http`, an address, metrics and health are shown there. `status` says in one line how the
    flows stand, for a service manager. Raises JournalError, Refused.
    """
    from twisted.internet import reactor

    telemetry = worker_telemetry(http)  # before anything begins
    say.take_over()  # here, because flows may be started next
    manager = Manager.taken_from(os.environ, os.getpid())
    keeper = keeper_for(os.environ, manager)
    service = Service(
        *(db, say.tell, serve, connections, timing, retain),
        tor=tor,
        limits=limits,
        keeper=keeper,
    )
    if telemetry is not None:
        service.observer, service.companions = telemetry.observer, [telemetry]
    with service:
        log_what_goes_wrong()
        if telemetry is not None:
            tell_where(telemetry.where)
        supervised = Supervised(manager, reactor, service.health.unwell, status)
        reactor.callWhenRunning(supervised.ready)
        yield service
