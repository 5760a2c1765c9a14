"""Watches: flows that only wait are let go, because their mailbox server says when to come back.

Where a server offers watching (watching.md), a flow that rests needs neither a connection nor a
visit: it is a row here, and a row at the server. It is let go in four steps, and the process may
die behind each of them.

1. `SqlJournal.watch`: the flow's row gets the mark by which it is found, before the server is
   asked. The flow still runs here.
2. The server is asked, and confirms: from now on it tells of whatever comes, until it is told that
   this is durable.
3. The flow stops running here, unless something has happened to it meanwhile.
4. `SqlJournal.park`: the flow is given back. If its mark is gone by now, something has come, and
   the flow is due at once.

If something comes, `SqlJournal.has_come` takes the mark away, whoever owns the flow; only then is
the server told. So of an arrival and the four steps, whichever is first, the other finds it in the
row. A flow whose process dies before step 4 is taken over like any other.

All workers of a database are one watcher of a server, and all of them are told everything: whoever
takes the flow has it.

If the server cannot be reached, nothing is lost: what it watches stands on its disk, and when it is
back its revision says what of that it has lost. If it does not offer watching any more, all flows
that it watched are due, and are visited from then on (`turns`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import WeakSet

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.logger import Logger

from holdfast.flows.engine.owed import Owed
from holdfast.flows.engine.parking import has_had_its_turn
from holdfast.flows.engine.scope import Scope
from holdfast.flows.engine.watch_line import WatchLine
from holdfast.rendezvous.watch_frames import Arrival, Key, Wanted
from holdfast.rendezvous.watching import Confirmed, Refused
from holdfast.shell.contact import MakesConnector
from holdfast_journal import Watcher
from holdfast_journal.errors import Unreadable, WrongKey

if TYPE_CHECKING:
    from holdfast.flows.engine.runner import FlowRunner

ANSWERS_WITHIN: Final = 60.0
"""Seconds that a server has to confirm a watch; then its connection is of no use."""

REFUSED_FOR: Final = 60.0
"""Seconds for which a server that refuses to watch, or does not offer it, is not asked again."""

CONNECTS_WITHIN: Final = 10.0
"""Seconds for which flows wait for a line that was just begun, and are not left to visits."""

_Place: TypeAlias = tuple[str, str]
"""A server's URL, and an application's identifier."""

T = TypeVar("T")

_log = Logger()


@define(eq=False)
class _Server:
    """A server at which flows of one application are watched."""

    since: float
    line: WatchLine | None = None
    """None while its watcher is looked up, and if it does not offer to watch."""
    quiet_until: float = -inf
    """When it may be asked again, after it has refused, or has not offered anything."""

    def can_watch(self, now: float) -> bool:
        """Whether it can be asked now."""
        return self.line is not None and self.line.is_ready and now >= self.quiet_until

    def is_new(self, now: float) -> bool:
        """Whether it will be known in a moment whether it can be asked."""
        ready = self.line is not None and self.line.is_ready
        return not ready and self.quiet_until <= now < self.since + CONNECTS_WITHIN


@define(eq=False)
class _Begun:
    """A flow that is being let go."""

    runner: FlowRunner
    wanted: Wanted
    line: WatchLine
    since: float

    @property
    def is_still_so(self) -> bool:
        """Whether nothing has happened to it."""
        return self.runner.waits_at == self.wanted


@define(eq=False)
class Watches:
    """The flows of an engine that are being watched, and the connections on which that happens.

    Args:
        scope: the journal and the clocks.
        running: the flows that run here.
        owed: what the database is to be told.
        let_go: stops running flows.
        connector: makes connections to mailbox servers.
        take_soon: has the engine say what it owes, and take flows, as soon as it can.
    """

    _scope: Scope
    _running: dict[int, FlowRunner]
    _owed: Owed
    _let_go: Callable[[Iterable[FlowRunner]], object]
    _connector: MakesConnector
    _take_soon: Callable[[], object]
    _servers: dict[_Place, _Server] = field(factory=dict, init=False)
    _begun: dict[Key, _Begun] = field(factory=dict, init=False)
    _soon: set[FlowRunner] = field(factory=set, init=False)
    """Those that will begin as soon as a line is connected."""
    _refused: WeakSet[FlowRunner] = field(factory=WeakSet, init=False)
    """Running flows that their server does not watch."""
    _news: bool = field(default=False, init=False)
    """Whether something has come since that was last asked."""

    # What the engine calls.

    @inlineCallbacks
    def look(self) -> Any:
        """Have a line for each watcher of the database that watches something."""
        for watcher in (yield self._scope.in_thread(_read, self._scope.journal.watchers)) or ():
            self._begin_line(watcher)

    def round(self) -> None:
        """Begin to let go whatever rests, where its server offers to watch."""
        now, clock = self._scope.seconds(), self._scope.now()
        self._soon.clear()
        under_way = self.letting_go()
        found: dict[WatchLine, list[_Begun]] = {}
        for runner in self._running.values():
            if not runner.may_be_watched or runner in under_way or runner in self._refused:
                continue
            server = self._server_of(runner, now)
            if server.is_new(now):
                self._soon.add(runner)
            if server.line is None or not server.can_watch(now):
                continue
            wanted = runner.waits_at
            if wanted is not None and has_had_its_turn(runner, now, clock):
                found.setdefault(server.line, []).append(_Begun(runner, wanted, server.line, now))
        for line, some in found.items():
            self._begin(line, some)
        for begun in self._begun.values():
            if now - begun.since > ANSWERS_WITHIN:
                begun.line.drop("the server does not answer those who watch")
                break

    def letting_go(self) -> Collection[FlowRunner]:
        """Return the flows that need no visit, since they are about to be watched."""
        return {begun.runner for begun in self._begun.values()} | self._soon

    def has_news(self) -> bool:
        """Whether flows are due because something has come for them; asked once for each time."""
        news, self._news = self._news, False
        return news

    def stop(self) -> Deferred[Any]:
        """Hang up. Fires when all connections are down."""
        lines = [server.line for server in self._servers.values() if server.line is not None]
        self._servers.clear()
        self._begun.clear()
        return DeferredList([line.stop() for line in lines])

    # Lines.

    def _server_of(self, runner: FlowRunner, now: float) -> _Server:
        """Return where this flow can be watched; if it is not known yet, begin a line."""
        place = runner.url, runner.wormhole.exchange.appid
        server = self._servers.get(place)
        if server is None or (server.line is None and now >= server.quiet_until > server.since):
            server = self._servers[place] = _Server(now)
            find = partial(self._scope.journal.watcher, *place)
            self._owed.add(partial(_read, find), then=self._begin_line)
        return server

    def _begin_line(self, watcher: Watcher | None) -> None:
        if watcher is None:
            return  # its flows are visited
        now, place = self._scope.seconds(), (watcher.url, watcher.appid)
        server = self._servers.setdefault(place, _Server(now))
        if server.line is None and now >= server.quiet_until:
            server.line = WatchLine(watcher, self, self._connector)

    # Letting go.

    def _begin(self, line: WatchLine, some: Sequence[_Begun]) -> None:
        self._begun.update((begun.wanted.key, begun) for begun in some)
        marks = {begun.runner.taken.id: begun.wanted.key for begun in some}
        mark = partial(self._scope.journal.watch, line.watcher.id, marks)
        self._owed.add(mark, then=partial(self._ask, line, some))

    def _ask(self, line: WatchLine, some: Sequence[_Begun], _: object) -> None:
        """Ask the server, now that the marks are durable."""
        line.watch([begun.wanted for begun in some if self._is_still_so(begun)])

    def _is_still_so(self, begun: _Begun) -> bool:
        """Whether the flow may still be let go; if not, it may be tried anew."""
        if self._begun.get(begun.wanted.key) is not begun:
            return False
        runner = begun.runner
        if self._running.get(runner.taken.id) is runner and begun.is_still_so:
            return True
        del self._begun[begun.wanted.key]
        return False

    def confirmed(self, confirmed: Confirmed) -> None:
        """The server watches these, or has no such mailbox; see `watch_line.Told`."""
        parked = []
        for wanted in confirmed.watched:
            begun = self._begun.get(wanted.key)
            if begun is not None and begun.wanted == wanted and self._is_still_so(begun):
                del self._begun[wanted.key]
                parked.append(begun.runner)
        self._leave_to_visits(confirmed.missing)
        if parked:
            until = {runner.taken.id: runner.due_at for runner in parked}
            self._let_go(parked)
            park = partial(self._scope.journal.park, until, confirmed.revision)
            self._owed.add(park, tuple(until))
            self._take_soon()

    def refused(self, line: WatchLine, refused: Refused) -> None:
        """The server does not watch these; see `watch_line.Told`."""
        _log.warn("the mailbox server does not watch: {why}", why=refused.text)
        server = self._servers.get((line.watcher.url, line.watcher.appid))
        if server is not None:
            server.quiet_until = self._scope.seconds() + REFUSED_FOR
        for wanted in refused.wanted:
            self._begun.pop(wanted.key, None)

    def _leave_to_visits(self, some: Iterable[Wanted]) -> None:
        for wanted in some:
            begun = self._begun.pop(wanted.key, None)
            if begun is not None:
                self._refused.add(begun.runner)

    # What has come.

    def has_come(
        self, line: WatchLine, arrivals: Sequence[Arrival], acknowledge: Callable[[], object]
    ) -> None:
        """Something has come for these; see `watch_line.Told`."""
        marks = [(arrival.mailbox, arrival.side) for arrival in arrivals]
        note = partial(self._scope.journal.has_come, line.watcher.id, marks)
        self._owed.add(note, then=partial(self._came, acknowledge))
        self._take_soon()

    def _came(self, acknowledge: Callable[[], object], due: int) -> None:
        acknowledge()
        self._news |= due > 0

    def returned(self, line: WatchLine, revision: int, noted: Callable[[], object]) -> None:
        """The server has forgotten what was confirmed later; see `watch_line.Told`."""
        forget = partial(self._scope.journal.forgotten, line.watcher.id, revision)
        self._owed.add(forget, then=lambda _: noted())
        self._take_soon()

    def cut(self, line: WatchLine) -> None:
        """What was asked is not answered any more; see `watch_line.Told`."""
        for key, begun in tuple(self._begun.items()):
            if begun.line is line:
                del self._begun[key]

    def not_offered(self, line: WatchLine) -> None:
        """From now on its flows are visited; see `watch_line.Told`."""
        self.cut(line)
        now = self._scope.seconds()
        place = line.watcher.url, line.watcher.appid
        self._servers[place] = _Server(now, quiet_until=now + REFUSED_FOR)
        line.stop()
        self._owed.add(partial(self._scope.journal.forgotten, line.watcher.id, -1))
        self._take_soon()


def _read(find: Callable[[], T]) -> T | None:
    """Return what `find` reads; None, and a line in the log, if the database was altered."""
    try:
        return find()
    except (WrongKey, Unreadable) as error:
        _log.warn("no flow is watched: {error}", error=error)
        return None
