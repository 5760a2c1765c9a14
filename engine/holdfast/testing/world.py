"""A world in which a flow can be tested: its engine, a mailbox server, the peer, and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, field

from holdfast.flows.base import Flow, problems
from holdfast.flows.document import new_flow
from holdfast.flows.engine.engine import Engine
from holdfast.testing.clock import Clock
from holdfast.testing.network import URL, Network
from holdfast.testing.peer import Peer
from holdfast.testing.server import MailboxServer
from holdfast.transit.network import through
from holdfast_journal import EntryRow, FlowRow, SqlJournal

BATCH: Final = "batch"
"""The batch of all flows of a world."""

IN_MEMORY: Final = "sqlite://"

STEP: Final = 0.5
"""Seconds between an engine's looks into the database."""

MOST_STEPS: Final = 200
"""In how many steps a longer time passes."""


@define(eq=False, repr=False)
class World:
    """One process that runs flows, and everything around it, without sockets or waiting.

    The process can crash at any moment, and another one continues. Time begins at 0, and passes
    only in `advance` and `until`. Used as a context manager, a world is closed at the end.

    Args:
        database: SQLAlchemy's URL of a file, which every process opens anew; what is missing is
            made. The default is a database in memory, which outlives the processes.
        retain: seconds for which a flow that went well can still be read.
    """

    database: str = IN_MEMORY
    retain: float = field(default=0.0, kw_only=True)
    clock: Clock = field(factory=Clock, init=False)
    """The clock of everything except the process."""
    server: MailboxServer = field(init=False)
    """The mailbox server, which can be stopped, started, and made to forget."""
    network: Network = field(init=False)
    reactor: Clock = field(factory=Clock, init=False)
    """The process's clock: its timers die with it."""
    journal: SqlJournal = field(init=False)
    engine: Engine | None = field(default=None, init=False)
    """The process's engine, or None after a crash."""
    crashes: int = field(default=0, init=False)
    """How many processes have died."""
    _options: dict[str, Any] = field(factory=dict, init=False)
    _appid: str = field(default="", init=False)
    _crash_after: int | None = field(default=None, init=False)
    _crash_sent: bool = field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        self.server = MailboxServer(self.clock.seconds)
        self.network = Network(self.server, self.clock)
        self.journal = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process cleanly, if there is one, and close its database."""
        if self.engine is not None:
            self._leave(self.engine)
        self.journal.close()

    # The process.

    def start(self, flow: Flow, name: str = "flow", **options: Any) -> None:
        """Start `flow`, and a process that runs it, unless there is one.

        Args:
            flow: the flow, such as `IssueToken(user="ada")`.
            name: what the other methods call it.
            options: those of `add`.
        """
        self.add(flow, name, **options)
        if self.engine is None:
            self.serve(**self._options)

    def add(
        self,
        flow: Flow,
        name: str = "flow",
        *,
        appid: str | None = None,
        deadline: float | None = None,
    ) -> None:
        """Put `flow` into the database, as any other process can.

        Args:
            flow: the flow, such as `IssueToken(user="ada")`.
            name: its name.
            appid: the application's identifier, by default that of the flow's class.
            deadline: when it expires, in seconds of this world.

        Raises:
            ValueError: the names of the flow's tasks and of its methods do not go together.
        """
        for problem in problems(flow.kind, tasks=False):
            raise ValueError(problem)
        self._appid = appid or flow.appid
        new = new_flow(name, flow, relay=URL, appid=self._appid, deadline=deadline)
        self.journal.start_flows(BATCH, [new])

    def serve(self, **options: Any) -> None:
        """Start a process that runs flows. `options` are those of `holdfast.Engine`."""
        self._options = dict(options)
        options.setdefault("connector", self.connector)
        options.setdefault("threads", self.reactor)
        is_dead = partial(self._is_dead, sending=True)
        through(self.reactor, self.network.direct.host(self.reactor, is_dead))
        self.engine = Engine(self.journal, self.reactor, now=self.now, **options)
        self.engine.start()

    def stop(self) -> None:
        """End the process cleanly, as a deployment does: it gives its flows back."""
        if self.engine is not None:
            self._leave(self.engine)
            self._reopen()

    def crash(self) -> None:
        """Kill the process; what it had in memory and has not sent is lost."""
        if self.engine is None:
            return
        self.crashes += 1
        running = tuple(self.engine.running.values())
        self._bury()
        for runner in running:
            runner.abandon()
        self._reopen()

    def restart(self) -> None:
        """Start another process, with the options of the last one.

        If a process is still running, it is stopped cleanly first.
        """
        self.stop()
        self.serve(**self._options)

    def crash_after(self, entries: int, *, sent: bool = True) -> None:
        """Let the process crash once, and restart it, when its flows have `entries` entries.

        That happens in `advance` and `until`; `crashes` tells whether it has happened.

        Args:
            entries: how many, of all flows together.
            sent: whether the outbound calls of the last entry have left the process by then.
        """
        self._crash_after, self._crash_sent = entries, sent

    # Time.

    def now(self) -> float:
        """Return the time, in seconds since this world began."""
        return self.clock.seconds()

    def deliver_all(self) -> None:
        """Let everything arrive that is on its way, and due tasks begin; no time passes."""
        while True:
            if self._is_dead():
                self._crash_after = None
                self.crash()
                self.restart()
            if not self.network.step():
                self._tick(0)
                if not self.network.queue:
                    return

    def advance(self, seconds: float, step: float | None = None) -> None:
        """Let time pass.

        Args:
            seconds: how much.
            step: how much at a time; by default half a second, or more if that were many steps.
        """
        step = max(STEP, seconds / MOST_STEPS) if step is None else step
        end = self.clock.seconds() + seconds
        self.deliver_all()
        while (left := end - self.clock.seconds()) > 0:
            self._tick(min(step, left))
            self.deliver_all()

    def until(
        self, reached: Callable[[], object], seconds: float = 600, step: float = STEP
    ) -> None:
        """Let time pass until `reached` is true.

        Raises:
            TimeoutError: it is not true after `seconds`.
        """
        end = self.clock.seconds() + seconds
        self.deliver_all()
        while not reached():
            if self.clock.seconds() >= end:
                raise TimeoutError(f"not reached in {seconds} s: {self.journal.overview()[:9]}")
            self._tick(step)
            self.deliver_all()

    # What can be seen.

    def row(self, name: str | None = None) -> FlowRow:
        """Return what operators see of a flow; without a name, of the only flow.

        Raises:
            ValueError: there is none, or there are several.
        """
        rows = self.journal.overview(name=name)
        if len(rows) == 1:
            return rows[0]
        found = f"{len(rows)} flows: which?" if rows else f"no flow called {name!r}"
        raise ValueError(f"there are {found}" if rows else f"there is {found}")

    def status(self, name: str | None = None) -> str:
        """Return the status of a flow, such as "waiting" or "done"."""
        return self.row(name).status

    def published(self, name: str | None = None) -> Mapping[str, Any]:
        """Return what a flow has published."""
        return dict(self.row(name).published or {})

    def finished(self, name: str | None = None) -> bool:
        """Whether a flow has ended."""
        return self.row(name).finished_at is not None

    def history(self, name: str | None = None) -> list[EntryRow]:
        """Return the entries of a flow, in order."""
        return self.journal.history(self.row(name).id)

    def code(self, name: str | None = None) -> str:
        """Wait until a flow has published its `code`, and return it.

        Raises:
            TimeoutError: it has none in ten minutes.
        """
        self.until(lambda: self.published(name).get("code"))
        return str(self.published(name)["code"])

    def peer(
        self,
        code: str,
        on_message: Callable[[Peer, bytes], object] | None = None,
        *,
        appid: str | None = None,
        versions: Mapping[str, Any] | None = None,
    ) -> Peer:
        """Let a person enter `code`, and return their client.

        Args:
            code: the code, as `code` returns it.
            on_message: called with the peer and each message, which it keeps in any case.
            appid: the application's identifier, by default that of the flow added last.
            versions: what the client says of itself, as `holdfast.create` takes it.

        Raises:
            ValueError: there is no `appid`, and no such flow.
        """
        appid = appid or self._appid
        if not appid:
            raise ValueError("no flow was added to this world: a peer needs an appid")
        return Peer(self.network, appid, on_message, versions).enter(code)

    # Inside.

    def connector(self, url: str, owner: Any) -> Any:
        """Make the connector of one of the process's wormholes."""
        return self.network.connector(
            url, owner, clock=self.reactor, is_dead=partial(self._is_dead, sending=True)
        )

    def _open(self) -> SqlJournal:
        return SqlJournal.open_inline(
            self.database, clock=self.now, uptime=self.now, retain=self.retain
        )

    def _is_dead(self, *, sending: bool = False) -> bool:
        """Whether the process has come to the entry after which it dies."""
        if self._crash_after is None or (sending and self._crash_sent):
            return False
        return sum(row.seq for row in self.journal.overview()) >= self._crash_after

    def _bury(self) -> None:
        """Drop everything of the process except what it wrote down."""
        self.engine = None
        for connector in tuple(self.network.connectors):
            if connector.clock is self.reactor:
                connector.stop()
        self.reactor = Clock()
        self.reactor.advance(self.clock.seconds())

    def _leave(self, engine: Engine) -> None:
        if self.database == IN_MEMORY:
            # An engine that stops would end the journal, which is that of the next process too.
            for runner in tuple(engine.running.values()):
                runner.leave()
        else:
            engine.stop()
        self._bury()

    def _reopen(self) -> None:
        if self.database == IN_MEMORY:
            self.journal.give_back()
        else:
            self.journal.close()
            self.journal = self._open()

    def _tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.reactor.advance(seconds)
