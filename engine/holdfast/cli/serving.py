"""Serving flows in a command, which from then on prints through `say`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast.cli import say
from holdfast.cli.logs import log_what_goes_wrong
from holdfast.cli.telemetry import tell_where, worker_telemetry
from holdfast.operating.keepers import keeper_for
from holdfast.operating.service import Service, Work
from holdfast.operating.supervising import Manager, Supervised


@contextmanager
def serving(
    db: str,
    work: Work,
    *,
    http: str | None = None,
    status: Callable[[], str | None] = lambda: None,
) -> Iterator[Service]:
    """Open a `Service` for one command, which is to do this `work`.

    With `http`, an address, metrics and health are shown there. `status` says in one line how the
    flows stand, for a service manager. Raises JournalError, Refused.
    """
    from twisted.internet import reactor

    telemetry = worker_telemetry(http)  # before anything begins
    say.take_over()  # here, because flows may be started next
    manager = Manager.taken_from(os.environ, os.getpid())
    keeper = keeper_for(os.environ, manager)
    service = Service(db, say.tell, work, keeper, telemetry)
    with service:
        log_what_goes_wrong()
        if telemetry is not None:
            tell_where(telemetry.where)
        supervised = Supervised(manager, reactor, service.health.unwell, status)
        reactor.callWhenRunning(supervised.ready)
        yield service
