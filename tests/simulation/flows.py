"""The flows that are simulated, beside those that ship; and the outside world that their tasks use.

Each writes rows of the application's own through the journal, which nothing else keeps from coming
twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from attrs import field
from sqlalchemy import text as sql
from twisted.internet.defer import Deferred

from holdfast.flows import tasks
from holdfast.flows.base import Flow, flow
from holdfast.flows.shipped import measuring as measuring
from holdfast.flows.shipped import receiving as receiving
from holdfast.flows.shipped import sending as sending
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.provision import HandOver, Provision
from holdfast.flows.shipped.receive import Incoming, Receive, ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.shipped.transferring import Reachable, Ways
from holdfast.flows.shipped.verifying import SendTextVerified
from holdfast.flows.tasks import Call, Kind, TaskFailed, task
from holdfast.transfer import messages, text

if TYPE_CHECKING:
    from tests.simulation.world import World

KINDS = (
    Provision.kind,
    SendFile.kind,
    ReceiveToFile.kind,
    "sim-mint",
    "sim-chat",
    "sim-timer",
    "sim-receive",
    "sim-given",
    "sim-typed",
    "sim-told",
    SendTextVerified.kind,
)

TASKS = ("sim-mint", "sim-store")

TRIES = 4
"""Of each task."""

MESSAGES = 4
"""Of each side of a chat."""


def write(flow: Flow, what: str) -> None:
    """Add a row of the application's in the same transaction as the present entry."""
    taken = flow._host.taken  # type: ignore[attr-defined]
    flow.execute(
        sql("INSERT INTO sim_writes (flow, attempt, what) VALUES (:flow, :attempt, :what)"),
        {"flow": taken.name, "attempt": taken.attempt, "what": what},
    )


@flow("sim-mint", appid=text.APPID)
class Mint(HandOver):
    """Hand over what a task makes once the recipient is there."""

    name: str
    coding: Coding = field(factory=Coding)
    offered: bool = field(default=False, init=False)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        write(self, "versions")
        self.perform("sim-mint", name=self.name)

    def sim_mint_done(self, minted: str) -> None:
        write(self, "minted")
        self.hand_over(minted)

    def sim_mint_failed(self, reason: str) -> None:
        write(self, "not minted")
        self.wormhole.send_message(messages.refuse("it could not be made"))
        self.fail(f"sim-mint: {reason}")

    def finish(self) -> None:
        write(self, "collected")
        super().finish()


@flow("sim-chat", appid="example.com/chat")
class Chat(Flow):
    """Send some messages, answer the peer's, and write down each."""

    name: str
    heard: int = field(default=0, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        write(self, "versions")
        for number in range(MESSAGES):
            self.wormhole.send_message(f"{self.name} says {number}".encode())

    def wormhole_got_message(self, message: bytes) -> None:
        write(self, f"heard {message.decode(errors='replace')}")
        self.heard += 1
        self.wormhole.send_message(f"{self.name} heard {self.heard}".encode())
        if self.heard == MESSAGES:
            self.finish()


@flow("sim-timer", appid=text.APPID)
class Timer(HandOver):
    """Hand over a secret, and write a row whenever some time has passed; until a deadline."""

    secret: str = field(repr=False)
    every: float
    times: int
    patience: float
    coding: Coding = field(factory=Coding)
    offered: bool = field(default=False, init=False)
    rings: int = field(default=0, init=False)

    def started(self) -> None:
        super().started()
        self.wake_at(self.now() + self.every)
        self.expire_at(self.now() + self.patience)

    def woken(self) -> None:
        self.rings += 1
        write(self, f"ring {self.rings}")
        if self.rings < self.times:
            self.wake_at(self.now() + self.every)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        self.hand_over(self.secret)


@flow("sim-given", appid=text.APPID)
class Given(HandOver):
    """Hand over a secret under a code that both sides were given."""

    code: str = field(repr=False)
    secret: str = field(repr=False)
    coding: Coding = field(factory=Coding)
    offered: bool = field(default=False, init=False)

    def started(self) -> None:
        self.wormhole.set_code(self.code)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        self.hand_over(self.secret)


@flow("sim-typed", appid=text.APPID)
class Typed(Given):
    """As if somebody typed the code: the nameplate first, and after a while the words."""

    def started(self) -> None:
        self._helper = self.wormhole.input_code()
        self._helper.choose_nameplate(self.code.partition("-")[0])
        self.wake_at(self.now() + 5)

    def woken(self) -> None:
        helper = getattr(self, "_helper", None) or self.wormhole.input_code()
        helper.choose_words(self.code.partition("-")[2])
        write(self, "typed")


@flow("sim-receive", appid=text.APPID)
class TakeIn(Receive):
    """Receive what another flow hands over, put it away with a task, and write that down."""

    code: str = field(repr=False)
    ways: Ways = field(factory=Ways)
    accept: bool = False
    writing: bool = field(default=False, init=False)
    incoming: Incoming | None = field(default=None, init=False)
    contact: Reachable = field(factory=Reachable, init=False)

    def put(self, received: str) -> None:
        write(self, "offered")
        self.perform("sim-store", text=received)

    def sim_store_done(self, result: None) -> None:
        write(self, "stored")
        self.accept_text()

    def sim_store_failed(self, reason: str) -> None:
        self.refuse(f"it could not be stored: {reason}")


@flow("sim-told", appid=text.APPID)
class Told(HandOver):
    """Hand over a secret, and tell the outside world of the code and of the end."""

    secret: str = field(repr=False)
    coding: Coding = field(factory=Coding)
    offered: bool = field(default=False, init=False)

    def wormhole_got_code(self, code: str) -> None:
        super().wormhole_got_code(code)
        self._tell("code")

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        self.hand_over(self.secret)

    def finish(self) -> None:
        self._tell("collected")
        super().finish()

    def _tell(self, event: str) -> None:
        taken = self._host.taken  # type: ignore[attr-defined]
        self.perform_detached("sim-tell", what=f"{taken.name}: {event} {taken.attempt}")


def minted(key: str) -> str:
    """What is made under an idempotency key: the same each time."""
    return f"minted-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _world(call: Call) -> World:
    world: World = call.reactor.process.world
    return world


@task("sim-mint", tries=TRIES, timeout=20.0)
def mint(call: Call) -> Deferred[str]:
    """Ask the outside world, which may be slow, fail, or do it without telling."""
    return _world(call).outside.ask(call, minted(call.key))


@task("sim-tell", timeout=20.0)
def tell(call: Call) -> Deferred[None]:
    """Tell the outside world, which may be slow, say no, or hear it without saying so."""
    return _world(call).outside.hear(call)


def compare(call: Call) -> Deferred[bool]:
    """Ask whoever is at our end whether the verifiers are the same."""
    return _world(call).outside.compare(call)


@contextmanager
def somebody_compares() -> Iterator[None]:
    """The task that only a command has, whose user is asked, is there until the block's end."""
    kind = Kind(compare, TRIES, at_once=4, timeout=20.0, blocks=False)
    with patch.dict(tasks._kinds, {"verify": kind}):
        yield


@task("sim-store", tries=TRIES, timeout=20.0, blocks=True)
def store(call: Call) -> None:
    """Put a text away; in a thread, since that takes its time."""
    outside = _world(call).outside
    outside.touch(call, in_thread=True)
    if outside.fails():
        _world(call).watch.spent(call.key)
        raise TaskFailed("there is no room", final=outside.fails() and outside.fails())
    outside.stored[call.key] = call.arguments["text"]
