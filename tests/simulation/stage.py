"""A world of one history, in which a process dies at the points that it is told, and at no others.

A *point* is where a process may die and where that makes a difference, because since the last one
something has happened that outlives it. So there is one before each commit, inside it and behind
it; before each frame, behind it while it is under way, and behind it when it will arrive; before
and behind each try of a task; and wherever between two steps anything has passed a wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast.flows.tasks import Call
from holdfast.transfer import text
from holdfast_journal import SqlJournal
from tests.simulation import storage
from tests.simulation.faults import Swarm
from tests.simulation.happenings import dies_before_it_tells
from tests.simulation.invariants import Flow
from tests.simulation.kernel import Actor
from tests.simulation.lines import End
from tests.simulation.network import Network, Socket
from tests.simulation.peers import Person
from tests.simulation.process import Life
from tests.simulation.transfers import Transfers
from tests.simulation.watching import ARRIVED
from tests.simulation.world import Outside, World

if TYPE_CHECKING:
    from tests.simulation.histories import History

NAMES = ("ann", "bob", "cy")

BACK = 60.0
"""Seconds until who has mistyped comes back: more than a process of ours is away."""

GIVEN = "4-blue-whale"
"""The code of a history whose flow does not make one."""


@define(eq=False, repr=False)
class Blows(Swarm):
    """Counts the points, and strikes at some of them."""

    stage: Stage = field(kw_only=True)
    at: tuple[int, ...] = ()
    count: int = 0
    counting: bool = True
    slowness: float = 0.0
    _news: bool = True
    """Whether something has happened since the last point that outlives a process."""

    def news(self) -> None:
        self._news = True

    def between(self) -> None:
        """Between two steps."""
        if not self._news:
            return
        # With two processes of ours only one dies.
        for kinds in self.stage.history.serve:
            lives = [life for life in self.stage.lives if life.serve == kinds]
            if lives and self._strikes("death between two steps"):
                for life in lives:
                    life.kill()

    def _strikes(self, what: str) -> bool:
        """Number this point, and say whether what it is for happens here."""
        if not self.counting:
            return False
        self._news = False
        self.count += 1
        if self.count not in self.at:
            return False
        self.stage.say("fault", f"{what}, at point {self.count}")
        return True

    def _strikes_if_new(self, what: str) -> bool:
        return self._news and self._strikes(what)

    # Around transactions.

    def before(self, actor: Actor, writes: bool) -> None:
        if writes and self._strikes_if_new("death before BEGIN"):
            actor.die()

    def before_commit(self, actor: Actor) -> None:
        if self._strikes("death before COMMIT"):
            actor.die()

    def after_commit(self, actor: Actor) -> None:
        if self._strikes("death behind COMMIT"):
            actor.die()
        if self._strikes("the outcome of a COMMIT is unknown"):
            raise storage.error("SQLITE_BUSY", "database is locked")

    # Around what a file's end is made of, and what passes a line.

    def at_disk(self, actor: Actor) -> None:
        if isinstance(actor, Life) and self._strikes_if_new("death before a step at the disk"):
            actor.die()

    def behind_disk(self, actor: Actor) -> None:
        if isinstance(actor, Life) and self._strikes("death behind a step at the disk"):
            actor.die()

    def writes(self, end: End) -> None:
        if isinstance(end.process, Life):
            if self._strikes("death behind bytes on a line, which are lost"):
                self.stage.lost = True
                end.process.doomed = True
            self.news()

    # Around frames, and tasks.

    def sends(self, socket: Socket) -> None:
        if isinstance(socket.process, Life):
            if self._strikes_if_new("death before a frame"):
                socket.process.die()
            if self._strikes("death behind a frame, which is lost with all that is under way"):
                self.stage.lost = True
                socket.process.doomed = True
            elif self._strikes("death behind a frame, which arrives"):
                socket.process.doomed = True
        self.news()

    def task(self, process: Actor) -> None:
        if process.doomed or self._strikes_if_new("death before a task"):
            process.die()
        self.news()


@define(eq=False, repr=False)
class Errands(Outside):
    """What tasks talk to; it fails as the history says."""

    stage: Stage = field(kw_only=True)
    failing: list[bool] = field(factory=list)

    def fails(self) -> bool:
        return bool(self.failing) and self.failing.pop(0)

    def hear(self, call: Call) -> Deferred[None]:
        self.stage.faults.task(call.reactor.process)
        return Outside.hear(self, call)

    def touch(self, call: Call, *, in_thread: bool = False) -> None:
        self.stage.faults.task(call.reactor.process)
        Outside.touch(self, call, in_thread=in_thread)


@define(eq=False, repr=False)
class Wires(Network):
    """A network of which everything arrives that was sent, unless it is to be lost."""

    stage: Stage = field(kw_only=True)

    def survivors(self, under_way: int) -> int:
        return 0 if self.stage.lost else under_way

    def answers(self, socket: Socket, text: str) -> None:
        if self.stage.untold and ARRIVED in text:
            self.stage.untold = False
            dies_before_it_tells(self.stage, socket, text)
        Network.answers(self, socket, text)

    def passed(self, socket: Socket, text: str) -> None:
        self.stage.faults.news()
        if self.stage.cut_behind and f'"type": "{self.stage.cut_behind}"' in text:
            self.stage.cut_behind = ""
            self.kernel.after(0, partial(self._cut, socket))

    def _cut(self, socket: Socket) -> None:
        """It breaks, and the server's answer is lost."""
        self.stage.say("fault", "a connection breaks, and an answer is lost")
        self.stage.lost = True
        socket.cut()
        self.stage.lost = False


@define(eq=False, repr=False)
class Eyes(Transfers):
    """Who watches the transfers of a stage."""

    stage: Stage = field(kw_only=True)

    def passed(self) -> None:
        self.stage.faults.news()
        Transfers.passed(self)


@define(eq=False, repr=False)
class Stage(World):
    """The world of a history."""

    history: History = field(kw_only=True)
    faults: Blows = field(init=False)
    lost: bool = field(default=False, init=False)
    """Whether what is under way is lost with the process that dies."""
    cut_behind: str = field(default="", init=False)
    """The frame behind which the connection breaks once."""
    untold: bool = field(default=False, init=False)
    """Whether the server dies before it tells the next arrival."""
    _told: set[tuple[str, int, str]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        World.__attrs_post_init__(self)
        self.server.watched = self.watching.offered = self.history.watched
        self.untold = self.history.untold
        self.storage.on_commit = self._committed
        self.network = Wires(self.kernel, self.server, self.watch, stage=self)
        self.transfers = self.lines.watcher = Eyes(self, stage=self)
        self.outside = Errands(self, stage=self, failing=list(self.history.failing))
        self.connections = self.history.connections
        self.cut_behind = self.history.cut_behind

    def _trouble(self) -> Blows:
        return Blows(self, stage=self)

    @property
    def flows(self) -> list[Flow]:
        """Those that the history is about, in order."""
        return [flow for flow in self.watch.flows.values() if flow.name in NAMES]

    def plan(self) -> None:
        self.operator = SqlJournal.open_inline("sqlite://", keys=storage.KEYS, clock=self.wall)
        for name in NAMES[: self.history.flows]:
            self.secrets[name] = f"the-secret-of-{name}"
            make = self.history.on_disk
            flow = self.history.flow(name) if make is None else make(self.disk, name)
            self._start(name, flow)
            if "gives" in self.history.peers:
                self._person(name, 1, GIVEN, "gives")
        for kinds in self.history.serve:
            self._new(kinds)

    def _new(self, kinds: Sequence[str]) -> None:
        life = self.new_life()
        life.serve = kinds

    def buried(self, life: Life) -> None:
        self.lives.remove(life)
        self.transfers.dies()
        self.lost = False
        away = self.history.away + self.kernel.between(0.05, 3)
        self.kernel.after(away, partial(self._again, life.serve))

    def _again(self, kinds: Sequence[str]) -> None:
        if not self.closing and not any(life.serve == kinds for life in self.lives):
            self._new(kinds)

    def _committed(self) -> None:
        self.faults.news()
        self.watch.committed()
        for flow in self.flows:
            now = (flow.name, flow.attempt, flow.status)
            if now not in self._told:
                self._told.add(now)
                self._react(flow)

    def _react(self, flow: Flow) -> None:
        """Do what the history has for this moment, in its own time."""
        then = self.history.then.get(flow.status)
        if then is not None:
            self.kernel.after(self.history.soon, partial(then, self, flow.name))

    def code_known(self, flow: Flow, code: str) -> None:
        plan = self.history.peers[min(flow.attempt, len(self.history.peers)) - 1]
        if plan == "ours":
            self.coming.add(flow.name)
            self.kernel.after(1.0, partial(self._take_in, flow.name, flow.attempt, code))
        elif plan != "nobody":
            appid = "example.com/chat" if flow.kind == "sim-chat" else text.APPID
            self._person(flow.name, flow.attempt, code, plan, appid)

    def _person(
        self, name: str, attempt: int, code: str, plan: str, appid: str = text.APPID
    ) -> None:
        person = Person(self, name, attempt, code, appid, plan)
        self.people.append(person)
        self.kernel.after(self.history.late, partial(self._comes, person))

    def _comes(self, person: Person) -> None:
        person.begin()
        # Who has mistyped does not come back at once: it is the next code that works, or this one
        # when it has been opened again.
        person.tired = person.plan == "mistypes"
        if self.history.comes_back:
            self.kernel.after(BACK, partial(_comes_back, person))


def _comes_back(person: Person) -> None:
    person.tired = False
    person.begin()
