"""Finding a connection for a transfer, in both roles: on a clock, between hosts in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from attrs import define, evolve, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from holdfast.flows.shipped.cargo import CannotGoOn, Interrupted, Misbehaved
from holdfast.flows.shipped.carrying import CONNECT_WITHIN, HEAR_WHY, Carrying
from holdfast.flows.shipped.pauses import LONGEST_PAUSE
from holdfast.flows.shipped.sharing import HERE
from holdfast.flows.shipped.transferring import Reach, Sending, Stage
from holdfast.transfer.errors import LandingError
from holdfast.transfer.throttle import ITS_TURN
from holdfast.transit import hints, through
from holdfast.transit.hints import DirectHint
from holdfast.transit.keys import Role, TransitKeys
from tests.harness.reactor import flush_logged_errors
from tests.transit.memory_network import Host, Made, Scripted, World
from tests.transit.memory_wire import MemoryWire

KEYS = TransitKeys(bytes(32))
PORT = 1000
THERE = DirectHint("there", 80)


class Wire(MemoryWire):
    """A wire that is closed only once nobody uses it."""

    closed = False
    interrupted = False

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True


@define
class Cargo:
    """What is carried: nothing."""

    role: Role
    cleared: int = 0

    def carry(self, wanted: Any, line: Any) -> Any:
        raise NotImplementedError

    def carried(self, carrying: Carrying, result: Any) -> None:
        carrying.session.report("acknowledged", result)

    def left_behind(self, wanted: Any, reason: str) -> Any:
        raise CannotGoOn(f"{wanted.stage}: {reason}")

    def clear(self, wanted: Any, failed: bool) -> None:
        self.cleared += 1


@define(eq=False)
class Session:
    """The engine's side: nothing is durable, and no thread ends, before the test says so."""

    reactor: Any
    key: str = "0" * 32
    tor: object = None
    keeper: Any = None
    prompt: bool = True
    """Whether everything that is reported is durable at once."""
    reports: list[tuple[str, Any]] = field(factory=list)
    durable: list[Deferred[None]] = field(factory=list)
    threads: list[tuple[Callable[[], Any], Deferred[Any]]] = field(factory=list)
    errors: list[BaseException] = field(factory=list)

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        ended: Deferred[Any] = Deferred()
        self.threads.append((lambda: call(*args), ended))
        return ended

    def report(self, what: str, value: Any) -> Deferred[None]:
        self.reports.append((what, value))
        self.durable.append(Deferred())
        if self.prompt:
            self.durable[-1].callback(None)
        return self.durable[-1]

    def failed(self, error: BaseException) -> None:
        self.errors.append(error)

    def run(self) -> None:
        """Let the thread that waits do its work."""
        call, ended = self.threads.pop(0)
        try:
            result = call()
        except Exception:  # noqa: BLE001 - as a thread does
            ended.errback(Failure())
        else:
            ended.callback(result)

    def end(self, result: Any) -> None:
        """Let the thread that waits end with this."""
        _, ended = self.threads.pop(0)
        ended.callback(Failure(result) if isinstance(result, Exception) else result)

    def names(self) -> list[str]:
        return [what for what, _ in self.reports]


@define(eq=False)
class Here(Host):
    """Our host; its wires say what becomes of them."""

    wires: list[Wire] = field(factory=list)

    def wire(self, transport: Any, leftover: bytes) -> Any:
        self.wires.append(Wire(bytearray(leftover)))
        return self.wires[-1]


@define(eq=False)
class Scene:
    """One activity, and everything around it."""

    role: Role
    resumes: bool = False
    listen: bool = True
    world: World = field(factory=World)
    here: Here = field(init=False)
    session: Session = field(init=False)
    cargo: Cargo = field(init=False)
    it: Carrying = field(init=False)
    wanted: Sending = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.here = Here(self.world, ("here",))
        through(self.world.clock, self.here)
        self.session = Session(self.world.clock)
        self.cargo = Cargo(self.role)
        self.it = Carrying(self.session, self.cargo)
        reach = Reach(KEYS.key, 0, self.listen, (), (), resumes=self.resumes)
        self.wanted = Sending("reachable", reach, (), cast(Any, None))

    def want(self, stage: Stage, *theirs: DirectHint, port: int = 0) -> None:
        """The flow has come so far."""
        said = tuple(hints.encode(theirs)) or self.wanted.reach.theirs
        reach = evolve(self.wanted.reach, theirs=said, port=port or self.wanted.reach.port)
        self.wanted = evolve(self.wanted, stage=stage, reach=reach)
        self.it.wants(self.wanted)
        self.world.settle()

    def peer_listens(self, *, says: bytes | None = None) -> Made:
        """The other side's port."""
        line = KEYS.receiver_line if self.role == "sender" else KEYS.sender_line
        made = Made(lambda: Scripted(line if says is None else says))
        self.world.listening["there", 80] = made
        return made

    def knock(self, port: int = PORT) -> Scripted:
        """The other side connects to us."""
        line = KEYS.receiver_line if self.role == "sender" else KEYS.sender_line
        made = Made(lambda: Scripted(line))
        self.world.host("stranger").connect("here", port, made)
        self.world.settle()
        return cast(Scripted, made.made[0])

    def connect(self) -> Scripted:
        """Come so far that the thread has the connection."""
        made = self.peer_listens()
        self.want("accepted", THERE)
        if self.role == "receiver":
            made.made[0].transport.write(b"go\n")
            self.world.settle()
        assert len(self.session.threads) == 1
        return cast(Scripted, made.made[0])

    def assert_nothing_is_left(self) -> None:
        self.world.settle()
        assert not self.world.clock.getDelayedCalls()
        assert not self.world.listening.keys() - {("there", 80), ("here", 7)}
        assert all(wire.closed for wire in self.here.wires)
        assert self.session.errors == []


ROLES = pytest.mark.parametrize("role", ["sender", "receiver"])
RESUMES = pytest.mark.parametrize("resumes", [False, True], ids=["stock", "holdfast"])
PEERS: dict[Role, Role] = {"sender": "receiver", "receiver": "sender"}
CHOICE = {"sender": b"go\n", "receiver": KEYS.receiver_line}


@ROLES
def test_what_is_durable_first(role: Role) -> None:
    """Nothing is dialled before the port is durable, and nothing chosen before that is durable."""
    scene = Scene(role)
    scene.session.prompt = False
    made = scene.peer_listens()
    scene.want("accepted", THERE)
    assert scene.session.names() == ["listening"]
    assert scene.world.dialled == []
    scene.session.durable[0].callback(None)
    scene.world.settle()
    assert scene.session.names() == ["listening", "chosen"]
    assert not made.made[0].heard.endswith(CHOICE[role])
    scene.session.durable[1].callback(None)
    scene.world.settle()
    assert made.made[0].heard.endswith(CHOICE[role])


@ROLES
def test_a_candidate_before_the_answer(role: Role) -> None:
    """It waits for the answer; meanwhile nothing is said that is final."""
    scene = Scene(role)
    scene.want("reachable")
    early = scene.knock()
    scene.world.settle(30)
    assert scene.session.names() == ["listening"]
    assert not early.heard.endswith(CHOICE[role])
    scene.want("accepted")
    assert scene.session.names() == ["listening", "chosen"]
    assert early.heard.endswith(CHOICE[role])


@ROLES
def test_a_candidate_that_left_before_the_answer(role: Role) -> None:
    """It is not noted as chosen, which would be final; the next one is."""
    scene = Scene(role)
    scene.want("reachable")
    early = scene.knock()
    early.transport.loseConnection()
    scene.world.settle()
    scene.want("accepted")
    assert scene.session.names() == ["listening"]
    assert scene.knock().heard.endswith(CHOICE[role])
    assert scene.session.names() == ["listening", "chosen"]


@ROLES
def test_a_stock_client_has_two_minutes(role: Role) -> None:
    """From the answer on; then it is over, whoever comes."""
    scene = Scene(role)
    scene.want("reachable")
    scene.world.settle(10 * CONNECT_WITHIN)
    scene.want("accepted")
    scene.world.settle(CONNECT_WITHIN - 1)
    assert scene.session.threads == []
    scene.world.settle(1)
    scene.session.run()
    assert scene.session.reports[1:] == [
        ("broken", "accepted: no connection to the other side within 120 seconds")
    ]
    scene.it.stop()
    scene.assert_nothing_is_left()


@ROLES
def test_a_choice_that_comes_to_nothing(role: Role) -> None:
    """If the socket breaks before it is durable that it was chosen, another may be chosen."""
    scene = Scene(role)
    scene.session.prompt = False
    scene.want("accepted")
    scene.session.durable[0].callback(None)
    gone = scene.knock()
    gone.transport.loseConnection()
    scene.world.settle()
    other = scene.knock()
    assert scene.session.names() == ["listening", "chosen", "chosen"]
    for each in scene.session.durable[1:]:
        each.callback(None)
    scene.world.settle()
    assert other.heard.endswith(CHOICE[role])


def test_exhausted() -> None:
    """With a stock client it is over at once when nobody can come in and all that is told fails."""
    scene = Scene("receiver", listen=False)
    scene.want("accepted", THERE)
    scene.session.run()
    words = "accepted: no connection to the other side: ->tcp:there:80: refused"
    assert scene.session.reports[-1] == ("broken", words)
    scene.it.clear(scene.wanted, failed=True)
    scene.session.run()
    scene.assert_nothing_is_left()


def test_a_holdfast_is_tried_again() -> None:
    """More and more seldom; it is said once why. Any connection puts it right."""
    scene = Scene("sender", resumes=True, listen=False)
    scene.want("accepted", THERE)
    for _ in range(400):
        scene.world.settle(1)
    times = [at for at, *_ in scene.world.dialled]
    pauses = [round(after - before) for before, after in pairwise(times)]
    assert pauses == [2, 4, 8, 16, 32, *[60] * (len(pauses) - 5)]
    assert [each for each in scene.session.reports if each[0] != "listening"] == [
        ("waiting", "no connection to the other side: ->tcp:there:80: refused")
    ]
    scene.peer_listens()
    scene.world.settle(LONGEST_PAUSE)
    assert scene.session.names()[-1] == "chosen"
    assert scene.session.threads


@ROLES
def test_a_contest_is_renewed(role: Role) -> None:
    """While a Holdfast is away we listen at one port, again and again, and say so once."""
    scene = Scene(role, resumes=True)
    scene.want("accepted", THERE)
    assert scene.session.reports[0][1]["port"] == PORT
    scene.want("accepted", port=PORT)
    for _ in range(200):
        scene.world.settle(1)
        scene.world.settle()
        assert ("here", PORT) in scene.world.listening
    assert len(scene.world.dialled) > 4
    assert scene.session.reports[1:] == [("waiting", "the other side is away")]


@RESUMES
def test_a_port_that_is_taken(resumes: bool) -> None:
    """A Holdfast hears of another one; a stock client would not, and may still be dialled."""
    scene = Scene("sender", resumes=resumes)
    taken = scene.world.listening["here", 7] = Made(Scripted)
    scene.want("accepted", THERE, port=7)
    port = scene.session.reports[0][1]["port"]
    assert port == (1001 if resumes else 0)
    assert scene.world.listening["here", 7] is taken
    assert len(scene.world.dialled) == 1


@ROLES
@RESUMES
def test_after_a_restart(role: Role, resumes: bool) -> None:
    """With a stock client a choice was final; with a Holdfast it goes on where it was."""
    scene = Scene(role, resumes=resumes)
    scene.want("going", THERE)
    if resumes:
        assert scene.session.names() == ["listening"]
        assert len(scene.world.dialled) == 1
    else:
        scene.session.run()
        assert scene.session.reports == [("broken", "going: the process was stopped")]
        assert scene.world.dialled == []


@ROLES
def test_the_side_at_a_relay(role: Role) -> None:
    """It is the same in every life, and another one than the peer's."""
    lines: dict[Role, set[bytes]] = {"sender": set(), "receiver": set()}
    for each, other in ((role, False), (role, True), (PEERS[role], True)):
        scene = Scene(each)
        relay = scene.world.listening["relay", 4001] = Made(Scripted)
        reach = evolve(scene.wanted.reach, relays=("relay:4001",), port=8 if other else 0)
        scene.wanted = evolve(scene.wanted, reach=reach)
        scene.want("accepted")
        lines[each].add(relay.made[0].heard)
    (ours,), (theirs,) = lines.values()
    assert ours.split()[2] == theirs.split()[2]
    assert ours != theirs


@ROLES
@RESUMES
@pytest.mark.parametrize("error", [Interrupted("it broke"), Misbehaved("it lies")])
def test_a_connection_that_breaks(role: Role, resumes: bool, error: Interrupted) -> None:
    """A Holdfast is connected to again, unless it misbehaves; others have a moment to say why."""
    scene = Scene(role, resumes=resumes)
    scene.connect()
    scene.session.end(error)
    assert scene.here.wires[0].closed
    scene.world.settle(HEAR_WHY - 0.1)
    assert scene.session.threads == []
    scene.world.settle(0.1)
    if resumes and not isinstance(error, Misbehaved):
        assert ("waiting", "it broke") in scene.session.reports
        assert len(scene.world.dialled) == 2
    else:
        scene.session.run()
        assert scene.session.reports[-1] == ("broken", f"accepted: {error}")
        assert len(scene.world.dialled) == 1


@ROLES
def test_what_cannot_go_on(role: Role) -> None:
    """It is reported at once, to a Holdfast too."""
    scene = Scene(role, resumes=True)
    scene.connect()
    scene.session.end(CannotGoOn("it has changed"))
    assert scene.session.reports[-1] == ("broken", "it has changed")
    assert scene.here.wires[0].closed


def test_a_fault_of_ours() -> None:
    """Whatever else is raised has the flow loaded again."""
    scene = Scene("sender")
    scene.connect()
    scene.session.end(ZeroDivisionError())
    assert [type(each) for each in scene.session.errors] == [ZeroDivisionError]


def begin(scene: Scene) -> None:
    scene.want("reachable")


def with_a_candidate(scene: Scene) -> None:
    scene.want("reachable")
    scene.knock()


def dialling(scene: Scene) -> None:
    scene.world.silent.add("there")
    scene.want("accepted", THERE)


def choosing(scene: Scene) -> None:
    scene.session.prompt = False
    scene.want("accepted")
    scene.session.durable[0].callback(None)
    scene.knock()
    assert scene.session.names()[-1] == "chosen"


def pausing(scene: Scene) -> None:
    scene.connect()
    scene.session.end(Interrupted("it broke"))
    scene.world.settle(0.5)


def renewing(scene: Scene) -> None:
    scene.want("accepted", THERE)
    scene.world.settle(5)


@ROLES
@RESUMES
@pytest.mark.parametrize(
    "state", [begin, with_a_candidate, dialling, choosing, pausing, renewing, None]
)
def test_stopping(role: Role, resumes: bool, state: Callable[[Scene], None] | None) -> None:
    """In whatever state, nothing is left: no port, socket or timer, and no report follows."""
    scene = Scene(role, resumes=resumes)
    if state is not None:
        state(scene)
    before = len(scene.session.reports)
    scene.it.stop()
    scene.world.settle()
    scene.assert_nothing_is_left()
    for each in scene.session.durable:
        if not each.called:
            each.callback(None)
    scene.world.settle(1000)
    assert len(scene.session.reports) == before
    assert (scene.session.threads, scene.cargo.cleared) == ([], 0)


@ROLES
@pytest.mark.parametrize("result", ["all of it", Interrupted("stopped"), CannotGoOn("stopped")])
def test_stopping_a_thread(role: Role, result: Any) -> None:
    """It is interrupted; the connection is closed after it, and only then is anything cleared."""
    scene = Scene(role)
    scene.connect()
    (wire,) = scene.here.wires
    before = len(scene.session.reports)
    scene.it.clear(scene.wanted, failed=True)
    assert (wire.interrupted, wire.closed) == (True, False)
    scene.session.end(result)
    assert wire.closed
    scene.session.run()
    assert scene.cargo.cleared == 1
    assert len(scene.session.reports) == before
    scene.assert_nothing_is_left()


def test_what_cannot_be_cleared() -> None:
    """The log says so: the flow is over, and nobody else would hear of it."""
    scene = Scene("receiver")
    scene.connect()
    scene.it.clear(scene.wanted, failed=True)
    scene.session.end("all of it")
    scene.session.end(LandingError("The disk failed."))
    assert [str(each) for each in flush_logged_errors()] == ["The disk failed."]


def test_done() -> None:
    """The connection is closed once the flow wants no more of it."""
    scene = Scene("sender")
    scene.connect()
    scene.session.end("digest")
    assert scene.session.reports[-1] == ("acknowledged", "digest")
    assert not scene.here.wires[0].closed
    scene.it.clear(scene.wanted, failed=True)
    scene.assert_nothing_is_left()


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one sender of this process moves bytes at a time."""
    monkeypatch.setattr(HERE, "places", DeferredSemaphore(1))


@pytest.mark.usefixtures("one_place")
def test_taking_turns() -> None:
    """A sender waits with its connection made until the one before has ended; a receiver never."""
    first, second, receiver = Scene("sender"), Scene("sender"), Scene("receiver")
    first.connect()
    receiver.connect()
    second.peer_listens()
    second.want("accepted", THERE)
    assert second.session.reports[-1] == ("queued", ITS_TURN)
    assert not second.here.wires[0].closed
    first.session.end(Interrupted("it broke"))
    assert len(second.session.threads) == 1
    second.session.end("digest")
    assert second.session.reports[-1] == ("acknowledged", "digest")
    assert HERE.places.tokens == 1


@pytest.mark.usefixtures("one_place")
@pytest.mark.parametrize("over", [False, True])
def test_leaving_the_line(over: bool) -> None:
    """Who is stopped while it waits takes nobody's turn, and leaves no connection."""
    first, second = Scene("sender"), Scene("sender")
    first.connect()
    second.peer_listens()
    second.want("accepted", THERE)
    second.it.clear(second.wanted, failed=False) if over else second.it.stop()
    first.session.end("digest")
    assert HERE.places.tokens == 1
    if over:
        second.session.run()
    assert second.cargo.cleared == over
    assert second.session.threads == []
    second.assert_nothing_is_left()
