"""Running the engine in a command: from the first flow to the last, or to Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from holdfast.cli import say
from holdfast.cli.database import open_serving_journal
from holdfast.cli.failure import Unfinished
from holdfast.cli.printable import printable
from holdfast.cli.settings import DEFAULT_CONNECTIONS
from holdfast.cli.stopping import Stopping

if TYPE_CHECKING:
    from twisted.python.failure import Failure as Failed

    from holdfast.status import Status
    from holdfast.timing import DebugTiming
    from holdfast_journal import FlowRow, JournalBroken, Seen, SqlJournal

EVERYWHERE = ("provision", "send", "receive")
"""The kinds of flows that any worker can run; the others belong to one command's terminal."""


class Ending(Enum):
    """Why serving ended."""

    DONE = "done"
    TIME = "time"
    SIGNAL = "signal"


@define(eq=False)
class Service:
    """One journal and one engine, for the life of a command.

    Args:
        db: the database's URL.
        serve: the kinds of flows to run.
        connections: how many connections may be open at once.
        timing: records when every message went and came.
        retain: seconds for which a flow that went well can still be read.
    """

    db: str
    serve: Sequence[str] = EVERYWHERE
    connections: int = DEFAULT_CONNECTIONS
    timing: DebugTiming | None = None
    retain: float | None = None
    journal: SqlJournal = field(init=False)
    _reactor: Any = field(init=False)
    _ending: Ending = field(default=Ending.SIGNAL, init=False)
    _error: BaseException | None = field(default=None, init=False)
    _looking: Any = field(default=None, init=False)
    _seen: Seen | None = field(default=None, init=False)
    _stopping: Stopping = field(init=False)

    def __attrs_post_init__(self) -> None:
        from twisted.internet import reactor

        from holdfast.cli.limits import connections_at_most, raise_open_files_limit
        from holdfast.cli.logs import log_what_goes_wrong

        say.take_over()  # from here on, because the next thing may be that flows are started
        self._reactor = reactor
        self._stopping = Stopping(reactor)
        self.journal = open_serving_journal(self.db, reactor, self._fatal, self.retain or 0.0)
        raise_open_files_limit()
        log_what_goes_wrong()
        self._obey(connections_at_most())

    def _obey(self, most: int | None) -> None:
        """Open no more connections than the system allows, and say so to whoever asked for more."""
        if most is None or self.connections <= most:
            return
        if self.connections != DEFAULT_CONNECTIONS:
            say.err(
                f"holdfast: --connections is {most} here, not {self.connections}: this process may"
                " open no more files (ulimit -n)"
            )
        self.connections = most

    def be_the_service(self, kinds: Collection[str] | None) -> None:
        """See `SqlJournal.serve`. Raises AlreadyServed, DatabaseUnusable."""
        try:
            self.journal.serve(kinds)
        except BaseException:
            self.journal.close()
            raise

    def run(
        self,
        watch: Callable[[Sequence[FlowRow]], bool],
        *,
        batch: str | None = None,
        names: Collection[str] | None = None,
        seconds: float | None = None,
    ) -> Ending:
        """Run flows until *watch* says that all is done, time is over, or a signal comes.

        Args:
            watch: called with the flows that moved since the last call, at first with those of
                the *names*, or the unfinished ones; whether to stop.
            batch, names: run only the flows of this batch, with these names.
            seconds: for how long at most.

        Raises:
            Unfinished: the database or its disk failed, or *watch* raised a ClickException.
        """
        from holdfast.cli.clock import keep_time_steadily
        from holdfast.cli.own_flows import ship
        from holdfast.flows.engine import Engine
        from holdfast.flows.threads import let_the_reactor_end

        keep_time_steadily(self._reactor)
        let_the_reactor_end(self._reactor)
        ship()
        engine = Engine(
            self.journal,
            self._reactor,
            serve=self.serve,
            batch=batch,
            names=names,
            connections=self.connections,
            on_status_update=ServerNews().tell,
            timing=self.timing,
        )

        def start() -> None:
            self._stopping.heed_signals()
            engine.start().addErrback(self._failed)
            self._look_at(watch, batch, names)
            if seconds is not None:
                self._reactor.callLater(seconds, self._end, Ending.TIME)

        self._reactor.addSystemEventTrigger("before", "shutdown", engine.stop)
        self._reactor.callWhenRunning(start)
        self._reactor.run()
        self.journal.close()
        if self._error is not None:
            raise self._error
        return self._ending

    def _look_at(
        self,
        watch: Callable[[Sequence[FlowRow]], bool],
        batch: str | None,
        names: Collection[str] | None,
    ) -> None:
        from holdfast.flows.looking import Looking
        from holdfast.flows.threads import DaemonThreads, call_in

        threads = DaemonThreads("status")

        def look() -> Any:
            poll = partial(self.journal.poll, batch, self._seen, names=names)
            return call_in(threads, self._reactor, poll).addCallback(moved)

        def moved(changes: Any) -> None:
            self._seen = changes.seen
            if watch(changes.rows):
                self._end(Ending.DONE)

        self._looking = Looking(self._reactor, self.journal.pressure, "status", look)
        self._looking.start().addErrback(self._failed)

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        if self._looking is not None:
            self._looking.stop()
        if self._reactor.running:
            self._stopping.stop()

    def _failed(self, failure: Failed) -> None:
        from twisted.logger import Logger

        from holdfast_journal import JournalError

        if isinstance(failure.value, click.ClickException):
            # Whatever went wrong now, it went wrong after something was started.
            self._error = Unfinished(failure.value.format_message())
        elif failure.check(JournalError):
            self._error = Unfinished(failure.getErrorMessage())
        else:
            kind = failure.type.__name__ if failure.type is not None else "an error"
            self._error = Unfinished(f"{kind} inside Holdfast; nothing is lost, start again")
            Logger().failure("The command failed", failure)
        self._end(Ending.DONE)

    def _fatal(self, error: JournalBroken) -> None:
        self._error = Unfinished(f"{error}; start again to go on from what is on the disk")
        self._end(Ending.DONE)


@define
class ServerNews:
    """Tells once when a mailbox server cannot be reached, and once when it can again."""

    _lost: set[str] = field(factory=set)

    def tell(self, status: Status) -> None:
        """Hear news of one wormhole of many."""
        from holdfast.status import Connected, Unreachable

        news = status.mailbox_connection
        if isinstance(news, Unreachable) and news.url not in self._lost:
            self._lost.add(news.url)
            say.err(
                f"holdfast: cannot reach {printable(news.url)}: {printable(news.reason)};"
                " trying again until it can be reached"
            )
        elif isinstance(news, Connected) and news.url in self._lost:
            self._lost.discard(news.url)
            say.err(f"holdfast: {printable(news.url)} can be reached again")
