"""The canonical histories: what happens in each, and how it ends, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

from holdfast.flows.base import Flow
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.flows.shipped.receive import ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.shipped.transferring import Ways
from holdfast.flows.shipped.verifying import SendTextVerified
from tests.simulation.disk import Disk
from tests.simulation.flows import KINDS, MESSAGES, Chat, Given, Mint, Timer, Told, Typed
from tests.simulation.stage import GIVEN, Stage


@frozen
class History:
    """One of them; what it expects is the same for each of its flows."""

    name: str
    flow: Callable[[str], Flow]
    """Makes the flow of this name."""
    flows: int = 1
    peers: tuple[str, ...] = ("honest",)
    """The plan of the other side, in each attempt."""
    late: float = 3.0
    """Seconds until they come."""
    comes_back: bool = False
    """Whether who has mistyped the code tries again, with the right one."""
    then: Mapping[str, Callable[[Stage, str], object]] = field(factory=dict)
    """What happens when a flow has come into a status."""
    soon: float = 0.02
    """Seconds from there."""
    failing: tuple[bool, ...] = ()
    """Whether the outside world says no, and whether it does its work and says nothing."""
    cut_behind: str = ""
    """The kind of frame whose answer is lost once, with the connection."""
    connections: int = 100
    away: float = 0.0
    """Seconds more until there is another process where one has died."""
    on_disk: Callable[[Disk, str], Flow] | None = None
    """Makes the flow of this name instead, if it is a transfer."""
    serve: tuple[Sequence[str], ...] = (KINDS,)
    """What kinds of flows each of our processes runs."""
    watched: int = 0
    """How many mailboxes the server watches."""
    untold: bool = False
    """Whether the server dies before it tells the first arrival."""

    ends: tuple[str, ...] = ("done",)
    """How each attempt ends."""
    got: tuple[str, ...] = ("the-secret-of-{name}",)
    """What the other side has received in the end."""
    writes: tuple[str, ...] = ()
    """The rows of the application's."""
    tasks: int = 0
    """How many tasks were done, each under one key."""
    told: tuple[str, ...] = ()
    """What the outside world was told."""
    pairs: bool = False
    """Whether it is short enough for each pair of two deaths."""


def provision(name: str) -> Flow:
    return Provision(name=name, secret=f"the-secret-of-{name}")


def guessed(name: str) -> Flow:
    coding = Coding(words=3, guesses=2)
    return Provision(name=name, secret=f"the-secret-of-{name}", coding=coding)


def mint(name: str) -> Flow:
    return Mint(name=name)


def timer(name: str, patience: float = 900.0) -> Flow:
    return Timer(secret=f"the-secret-of-{name}", every=10.0, times=2, patience=patience)


def stop(stage: Stage, name: str) -> None:
    for life in list(stage.lives):
        stage.kernel.act(life, life.stop)


def restart(stage: Stage, name: str) -> None:
    stage.restart_server(3.0)


def forget(stage: Stage, name: str) -> None:
    stage.note("forgot")
    stage.restart_server(3.0, forget=True)


def retry(stage: Stage, name: str) -> None:
    if not stage.retry(name):
        stage.kernel.after(1.0, lambda: retry(stage, name))


def send_file(disk: Disk, name: str) -> Flow:
    return SendFile(paths=[str(disk.source(name))])


def receive_file(disk: Disk, name: str) -> Flow:
    out = str(disk.target(name, name))
    return ReceiveToFile(code=GIVEN, out=out, accept=True, ways=Ways())


BOTH = (KINDS, KINDS[::-1])
"""Two processes that run the same, and are told apart by the order."""

SAYS = tuple(f"{{name}} says {number}" for number in range(MESSAGES))
HEARD = tuple(f"{{name}} heard {number + 1}" for number in range(MESSAGES))

HISTORIES = (
    History("hand over", provision, pairs=True),
    History(
        "given code",
        lambda name: Given(code="4-blue-whale", secret=f"the-secret-of-{name}"),
        pairs=True,
    ),
    History(
        "typed code",
        lambda name: Typed(code="4-blue-whale", secret=f"the-secret-of-{name}"),
        writes=("typed",),
    ),
    History(
        "chat",
        lambda name: Chat(name=name),
        got=SAYS + HEARD,
        writes=("versions", *(f"heard peer says {number}" for number in range(MESSAGES))),
    ),
    History(
        "task",
        mint,
        failing=(True, False, True),
        got=("{minted}",),
        writes=("versions", "minted", "collected"),
        tasks=1,
    ),
    History(
        "compared",
        lambda name: SendTextVerified(secret=f"the-secret-of-{name}"),
        # Nobody looks at first; then the answer does not arrive.
        failing=(True, False, True),
        tasks=1,
    ),
    History("task in a thread", provision, peers=("ours",), got=(), tasks=1),
    History(
        "told",
        lambda name: Told(secret=f"the-secret-of-{name}"),
        # It says 500, then it hears and is too slow to say so, twice.
        failing=(True, False, True, False, True),
        told=("{name}: code 1", "{name}: collected 1"),
    ),
    History("timer", timer, late=60.0, writes=("ring 1", "ring 2")),
    History(
        "deadline",
        lambda name: timer(name, patience=60.0),
        peers=("nobody",),
        ends=("expired",),
        got=(),
        writes=("ring 1", "ring 2"),
        pairs=True,
    ),
    History(
        "retry",
        provision,
        peers=("mistypes", "honest"),
        then={"scared": retry},
        soon=1.0,
        ends=("scared", "done"),
    ),
    History("wrong guess", guessed, peers=("mistypes",), comes_back=True),
    History(
        "cancel",
        provision,
        peers=("nobody",),
        then={"waiting": Stage.cancel},
        soon=2.0,
        ends=("cancelled",),
        got=(),
        pairs=True,
    ),
    History("refusal", provision, peers=("says no",), ends=("failed",)),
    History("server restart", provision, then={"exchanging": restart}, soon=0.0),
    History("server forgets", provision, then={"waiting": forget}, soon=1.0, late=20.0),
    History("clean stop", provision, then={"exchanging": stop}),
    History("parked", provision, flows=2, connections=2, late=45.0),
    History("watched", provision, watched=9, late=20.0),
    History("watched by two", provision, watched=9, late=20.0, serve=BOTH, untold=True),
    History("watched at last", provision, watched=9, late=20.0, cut_behind="holdfast-watch"),
    History("watched timer", timer, watched=9, late=45.0, writes=("ring 1", "ring 2"), untold=True),
    History("lost answer", provision, cut_behind="allocate", pairs=True),
    History("several at once", provision, flows=3),
    History("send a file", provision, on_disk=send_file, peers=("takes",)),
    History("receive a file", provision, on_disk=receive_file, peers=("gives",)),
    History("file to ourselves", provision, on_disk=send_file, peers=("ours",)),
    History(
        "file between two",
        provision,
        on_disk=send_file,
        peers=("ours",),
        serve=((SendFile.kind,), (ReceiveToFile.kind,)),
    ),
    # Longer than a server remembers at least, and shorter than this one does.
    History("long away", provision, late=20.0, away=700.0),
)


def named(name: str) -> History:
    """Return the history of this name.

    Raises:
        ValueError: there is none.
    """
    for history in HISTORIES:
        if history.name == name:
            return history
    raise ValueError(f"no history is called {name!r}")
