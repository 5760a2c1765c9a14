"""A wormhole from a recorded checkpoint, whose server and peer say what the fuzzer says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from holdfast.core import checkpoint
from holdfast.core.codec import from_json
from holdfast.core.events import Event
from holdfast.core.exchange import Exchange
from holdfast.core.wanted import Said, wanted
from holdfast.crypto import phase_key, seal
from holdfast.dilation.document import load
from holdfast.errors import ServerError, WelcomeError, WormholeClosed, WormholeError
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import ConnectionOwner
from holdfast.shell.options import Options
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.transfer import messages
from holdfast_journal import ImmediateJournal
from tests.core.record import CHECKPOINTS
from tests.fuzz.target import check_error, expect

PEER: Final = "peer"
"""The side under which the peer puts its messages."""

CUT: Final = "cut"
"""A line that is no frame: the connection is lost, and another comes."""


@cache
def recorded() -> Sequence[str]:
    """The documents of all recorded checkpoints, in the order of their names."""
    paths: list[Path] = sorted(CHECKPOINTS.glob("*.json"))
    return [json.dumps(json.loads(path.read_text())["document"]) for path in paths]


class Journal(ImmediateJournal):
    """Durable in no way; sees whether what is recorded can be kept."""

    def record(self, kind: str, *, heard: str, said: Sequence[str], event: bytes) -> None:
        """See that an entry is what a database takes, and a doctor can read."""
        expect(heard.isprintable() and len(heard) < 1000, "what was heard is no line")
        expect(all(words.isprintable() for words in said), "what was said is no line")
        body = json.loads(event) if event else {}
        if "event" in body:
            again = from_json(json.loads(json.dumps(body["event"])))
            expect(isinstance(again, Event), "an event is none when it is read back")


@define(eq=False)
class Line:
    """A connector and its connection in one."""

    owner: ConnectionOwner
    is_paused: bool = False

    def start(self) -> None:
        """Connect when told."""

    def welcomed(self) -> None:
        """It is a mailbox server."""

    def stop(self) -> Deferred[None]:
        """Hang up."""
        return succeed(None)

    def send(self, text: str) -> None:
        """Take what goes to the server."""
        text.encode()
        json.loads(text)

    def abort(self, reason: str) -> None:
        """Be cut."""


@define(eq=False)
class Application:
    """The delegate: reads what it is told as a flow that hands over texts would."""

    ended: list[Any] = field(factory=list)

    def wormhole_got_welcome(self, welcome: dict[str, Any]) -> None:
        """Change it, which must not matter."""
        welcome.clear()

    def wormhole_got_message(self, message: bytes) -> None:
        """Read it."""
        try:
            messages.read(message)
        except ValueError as error:
            check_error(error)

    def wormhole_closed(self, result: object) -> None:
        """Nothing comes after this."""
        self.ended.append(result)


@define(eq=False)
class Wormhole:
    """One that is alive."""

    wormhole: DelegatedWormhole
    line: Line
    application: Application
    failures: list[Failure]
    key: bytes | None
    appid: str

    def connect(self) -> None:
        """A connection is there, and welcomes us."""
        self.line.owner.connected(self.line)  # type: ignore[arg-type]

    def hear(self, line: str) -> None:
        """The server says *line*, or the connection is cut."""
        if line == CUT:
            self.line.owner.disconnected(ConnectionEnded("cut", clean=False))
            self.connect()
        else:
            self.line.owner.received([line])

    def boxed(self, phase: str, plaintext: bytes) -> bytes:
        """What the peer puts into the mailbox, under the key of the checkpoint."""
        if self.key is None or phase == "pake":
            return plaintext
        return seal(phase_key(self.key, PEER, phase), plaintext, bytes(24))


@contextmanager
def alive(document: str, *, clock: Any = None) -> Iterator[Wormhole]:
    """A wormhole from *document*; at the end it must be whole, whatever it has heard."""
    saved = checkpoint.load(json.loads(document))
    lines: list[Line] = []
    failures: list[Failure] = []
    application = Application()
    draws = iter(range(1_000_000))

    def connector(_url: str, owner: ConnectionOwner) -> Any:
        lines.append(Line(owner))
        return lines[-1]

    wormhole = DelegatedWormhole(
        saved.relay_url,
        saved.exchange,
        application,
        Journal(),
        connector,
        pending=saved.pending,
        options=Options(
            clock=clock,
            on_broken=failures.append,
            entropy=lambda: next(draws).to_bytes(32, "big"),
        ),
    )
    key = saved.exchange.shared_key
    try:
        wormhole.start()
        one = Wormhole(wormhole, lines[0], application, failures, key, saved.exchange.appid)
        one.connect()
        yield one
        for failure in failures:
            failure.raiseException()
        expect(len(application.ended) <= 1, "it ended twice")
        for ended in application.ended:
            # The words of some are the server's own, unchanged.
            if not isinstance(ended, str | ServerError | WelcomeError):
                expect(
                    isinstance(ended, WormholeError | WormholeClosed), "an end by something else"
                )
                check_error(ended)
        check_document(wormhole.serialize())
    finally:
        wormhole.abandon()


def check_document(document: dict[str, Any]) -> None:
    """See that a wormhole's document survives being written, and says the same then."""
    written = json.dumps(document, allow_nan=False)
    again = checkpoint.load(json.loads(written))
    expect(again.exchange.serialize() == document["exchange"], "a document changes by loading")
    if again.dilation is not None:
        load(again.dilation["state"])
    look_at(again.exchange)


def look_at(exchange: Exchange) -> None:
    """Ask what the shell asks of a state before anything happens."""
    wanted(exchange, Said())
    repr(exchange)
    _ = exchange.is_resting, exchange.ended, exchange.shared_key
