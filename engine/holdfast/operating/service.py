"""Running the engine in a process: from the first flow to the last, or to Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from attrs import define, evolve, field, frozen

from holdfast.operating import garbage
from holdfast.operating.companions import Companion
from holdfast.operating.database import Tell, open_serving_journal
from holdfast.operating.ending import Course, Ending
from holdfast.operating.server_news import ServerNews
from holdfast.operating.sharing import NO_LIMITS, Limits
from holdfast.rendezvous import MOST_CONNECTIONS

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure as Failed

    from holdfast.flows.engine.engine import Engine
    from holdfast.operating.following import Following
    from holdfast.operating.health import WorkerHealth
    from holdfast.rendezvous.tor import TorManager
    from holdfast.timing import DebugTiming
    from holdfast.transit.keeping import Keeper
    from holdfast_journal import FlowRow, JournalBroken, Seen, SqlJournal

EVERYWHERE = (
    "provision",
    "provision-file",
    "send",
    "send-file",
    "receive",
    "ssh-accept",
    "tahoe-invite",
)
"""The kinds of flows that any worker can run; the others belong to one command's terminal."""

ONE_COMMANDS: Mapping[str, str] = {
    "receive-here": "receive",
    "receive-verified": "receive",
    "send-verified": "send",
    "send-file-verified": "send",
    "ssh-invite": "ssh invite",
}
"""The kinds of flows that only the command which started them can run, and that command: they ask
its user, print on its terminal, or write on its machine."""


HOOKS_PATIENCE = 40.0
"""Seconds that a command which has ended waits for what hooks are told: longer than a try takes."""


@frozen
class Work:
    """What a process does with its flows, as its command says.

    Args:
        serve: the kinds of flows to run.
        connections: how many connections may be open at once.
        timing: records when every message was sent and received.
        retain: seconds for which a flow that ended well can still be read.
        tor: makes every connection of its flows go through Tor.
        limits: how much its transfers move at a time.
    """

    serve: Sequence[str] = EVERYWHERE
    connections: int = MOST_CONNECTIONS
    timing: DebugTiming | None = None
    retain: float | None = None
    tor: TorManager | None = None
    limits: Limits = NO_LIMITS


@define(eq=False)
class Service:
    """One journal and one engine, for as long as this context manager's block lasts.

    Args:
        db: the database's URL.
        tell: called with what the operator should know, line by line.
        work: what it does.
        keeper: holds connections of transfers beyond the death of this process.
        companion: what goes on beside the flows, and hears what they do.
    """

    db: str
    tell: Tell
    work: Work
    keeper: Keeper | None = None
    companion: Companion | None = None
    journal: SqlJournal = field(init=False)
    """Open inside the block."""
    engine: Engine = field(init=False)
    """What runs the flows, from `run` on."""
    health: WorkerHealth = field(init=False)
    """Of this process, inside the block."""
    news: ServerNews = field(init=False)
    """Which mailbox servers can be reached."""
    _reactor: Any = field(init=False)
    _course: Course = field(init=False)
    _following: Following | None = field(default=None, init=False)

    @property
    def asked_to_leave(self) -> bool:
        """Whether it ended because an operator wanted that of this worker."""
        return self._course.asked_to_leave

    def __enter__(self) -> Self:
        """Open the database. Raises JournalError."""
        from twisted.internet import reactor

        from holdfast.operating.health import WorkerHealth
        from holdfast.operating.limits import connections_at_most, raise_open_files_limit

        self._reactor = reactor
        self._course = Course(reactor)
        self.journal = open_serving_journal(
            self.db, self.tell, self._reactor, self._fatal, self.work.retain or 0.0
        )
        self.health = WorkerHealth(self.journal)
        self.news = ServerNews(self.tell)
        raise_open_files_limit()
        self._obey(connections_at_most())
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database; from now on its flows are free."""
        self.journal.close()

    def _obey(self, most: int | None) -> None:
        """Open no more connections than the system allows, and say so if more were asked for."""
        wanted = self.work.connections
        if most is None or wanted <= most:
            return
        if wanted != MOST_CONNECTIONS:
            self.tell(
                f"--connections is {most} here, not {wanted}: this process may"
                " open no more files (ulimit -n)"
            )
        self.work = evolve(self.work, connections=most)

    def run(
        self,
        watch: Callable[[Sequence[FlowRow]], bool],
        *,
        batch: str | None = None,
        names: Collection[str] | None = None,
        seconds: float | None = None,
        since: Seen | None = None,
        every: float = 0.5,
    ) -> Ending:
        """Run flows until `watch` returns True, the time is over, or a signal comes.

        Args:
            watch: called with the flows that moved since the last call, at first with those that
                moved `since`, or without that with those of the `names`, or the unfinished ones;
                returns whether to stop.
            batch: run only the flows of this batch.
            names: run only the flows with these names.
            seconds: for how long at most.
            since: how far the journal was read before.
            every: seconds after which `watch` is called again if nothing moves.

        Raises:
            Stopped: the database or its disk failed, or `watch` refused.
        """
        from holdfast.flows.engine.engine import Engine
        from holdfast.flows.engine.observing import UNOBSERVED
        from holdfast.flows.engine.threads import let_the_reactor_end
        from holdfast.operating.clock import keep_time_steadily
        from holdfast.operating.following import Following
        from holdfast.operating.handing import sweep_private
        from holdfast.operating.own_flows import ship
        from holdfast.operating.spooling import private_directory

        keep_time_steadily(self._reactor)
        let_the_reactor_end(self._reactor)
        ship()
        private = private_directory(self.db)
        self.work.limits.obey(private)
        sweep_private(self.journal, private)
        self.engine = Engine(
            self.journal,
            self._reactor,
            serve=self.work.serve,
            batch=batch,
            names=names,
            connections=self.work.connections,
            on_status_update=self.news.hear,
            timing=self.work.timing,
            observer=UNOBSERVED if self.companion is None else self.companion.observer,
            tor=self.work.tor,
            keeper=self.keeper,
        )

        following = self._following = Following(
            *(self._reactor, self.journal, watch, batch, names, since, every),
            end=partial(self._settle, Ending.DONE),
            leave=self._leave,
        )
        self.engine.listen(following.hurry)

        def start() -> None:
            self._course.begin()
            if self.companion is not None:
                self.companion.start(self)
            self.engine.start().addErrback(self._failed)
            following.start().addErrback(self._failed)
            if seconds is not None:
                self._reactor.callLater(seconds, self._settle, Ending.TIME)

        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.callWhenRunning(start)
        garbage.serve()
        self._reactor.run()
        if self._course.error is not None:
            raise self._course.error
        if self._course.ending is Ending.DONE:
            self._tell_of_hooks(batch, names)
        return self._course.ending

    def _tell_of_hooks(self, batch: str | None, names: Collection[str] | None) -> None:
        """Say so if something could not be told, since nobody tries again when this has ended."""
        from holdfast.operating.hooks import untold
        from holdfast_journal import DatabaseUnusable

        number = 0
        with suppress(DatabaseUnusable):  # then that is what the operator hears of
            number = untold(self.journal, batch, names)
        if number:
            what = "1 message" if number == 1 else f"{number} messages"
            self.tell(
                f"{what} of --on-code, --on-collected or --on-trouble could not be delivered;"
                " 'holdfast run' tries again, and 'holdfast tasks' shows why"
            )

    def _leave(self) -> None:
        self._course.asked_to_leave = True
        self._end(Ending.SIGNAL)

    def _settle(self, ending: Ending) -> None:
        """End once everything was tried that the last flows want to tell.

        Ctrl-C does not wait for that; the flows have ended as they have.
        """
        self._course.ending = ending
        if self._following is not None:
            self._following.stop()
        settled = self.engine.settle().addTimeout(HOOKS_PATIENCE, self._reactor)
        settled.addBoth(lambda _: self._end(ending))

    def _stop(self) -> Deferred[Any]:
        from twisted.internet.defer import maybeDeferred

        def stop_companion(result: Any) -> Any:
            if self.companion is None:
                return result
            return maybeDeferred(self.companion.stop).addCallback(lambda _: result)

        self.health.stopping = True
        stopped: Deferred[Any] = self.engine.stop()
        return stopped.addBoth(stop_companion)

    def _end(self, ending: Ending) -> None:
        if self._following is not None:
            self._following.stop()
        self._course.end(ending)

    def _failed(self, failure: Failed) -> None:
        self._course.fail(failure)
        self._end(Ending.DONE)

    def _fatal(self, error: JournalBroken) -> None:
        self._course.break_off(error)
        self._end(Ending.DONE)
