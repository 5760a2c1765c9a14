"""The people at the other end: each has a plan, and one client process after another."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.errors import WormholeError
from holdfast.shell.options import Options
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.transfer import messages, text
from holdfast_journal import ImmediateJournal, Journal
from tests.simulation.flows import MESSAGES
from tests.simulation.network import Socket
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

URL = "ws://mailbox.example/v1"

CLEAN = ("honest", "late", "saved", "repeats")
"""Plans with which everything goes well, unless something else goes wrong."""

PLANS = (*CLEAN, "mistypes", "vanishes", "comes again", "says no", "garbage", "crowd", "nobody")


WRONG = {"mistypes": 1, "guesses": 3}
"""How often people come with a wrong code before they come with the right one."""


@define(eq=False, repr=False)
class Person:
    """Somebody who was given a code."""

    world: World
    flow: str
    attempt: int
    code: str = field(repr=False)
    appid: str
    plan: str
    got: list[str] = field(factory=list)
    """What was received, in order; as durable as the person."""
    result: object = None
    client: Client | None = None
    clients: int = 0
    saved: dict[str, Any] | None = None
    """The wormhole's document, if the person's client keeps one."""
    tired: bool = False
    """Whether they begin nothing new."""

    @property
    def name(self) -> str:
        return f"{self.flow}'s peer"

    @property
    def over(self) -> bool:
        return self.client is None

    def begin(self) -> None:
        """Start a client, with the code as they typed it."""
        if self.tired or self.result == "happy":
            return
        self.clients += 1
        code = self.code
        if self.clients <= WRONG.get(self.plan, 0):
            code += "s"
        kind = CLIENTS.get(self.plan, Client)
        self.client = kind(
            f"peer{self.world.next_number()}", self.world.kernel, self, code, world=self.world
        )
        self.world.say(self.name, f"starts {self.client.name}, plan: {self.plan}")
        self.world.kernel.after(0, self.client.begin, self.client)
        if self.plan in ("vanishes", "comes again", "saved"):
            self.world.kernel.after(self.world.kernel.between(0.001, 3), self.vanish)

    def vanish(self) -> None:
        client = self.client
        if client is None or not client.alive:
            return
        if self.plan == "saved" and self.clients > 3:
            return
        if self.plan != "saved" and self.clients > 1:
            return
        self.world.count("peer vanished")
        self.world.say(client.name, "vanishes")
        client.kill()
        if self.plan != "vanishes":
            self.world.kernel.after(self.world.kernel.between(0.1, 40), self.begin)

    def give_up(self) -> None:
        """Close what is open; begin nothing new."""
        self.tired = True
        if self.client is not None and self.client.alive and self.client.begun:
            self.world.kernel.act(self.client, self.client.give_up)

    def ended(self, result: object) -> None:
        self.result = result
        self.client = None
        if self.clients <= WRONG.get(self.plan, 0):
            self.world.kernel.after(self.world.kernel.between(1, 30), self.begin)


@define(eq=False, repr=False)
class Client(Process):
    """One process of a person's: the core, in a client as others have it."""

    person: Person
    code: str = field(repr=False)
    wormhole: DelegatedWormhole = field(init=False)
    begun: bool = field(default=False, init=False)

    def begin(self) -> None:
        person, self.begun = self.person, True
        keeps = person.plan == "saved"
        resumes = keeps and person.saved is not None
        if resumes:
            saved = checkpoint.load(person.saved)
        else:
            saved = checkpoint.SavedWormhole(URL, Exchange(person.appid, os.urandom(5).hex()), ())
        self.world.met(saved.exchange.side, person, self.name)
        self.wormhole = DelegatedWormhole(
            URL,
            saved.exchange,
            self,
            Journal(self._save) if keeps else ImmediateJournal(),
            self.connector,
            pending=saved.pending,
            options=Options(clock=self.reactor),
        )
        self.wormhole.start()
        if not resumes:
            self.wormhole.set_code(self.code)

    def _save(self) -> None:
        self.person.saved = json.loads(json.dumps(self.wormhole.serialize()))

    def give_up(self) -> None:
        with suppress(WormholeError):
            self.wormhole.close()

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        if self.person.plan == "says no":
            self.wormhole.send_message(messages.refuse("I do not want it"))
        elif self.person.plan == "garbage":
            self._garbage()
        elif self._chats:
            for number in range(MESSAGES):
                self.wormhole.send_message(f"peer says {number}".encode())

    @property
    def _chats(self) -> bool:
        return self.person.appid != text.APPID

    def _garbage(self) -> None:
        random = self.kernel.random
        choices = [b"", b"[]", b"{", b"\xff\xfe", b'{"offer": 7}', b'{"answer": "ok"}', b"nul"]
        for _ in range(random.randint(1, 3)):
            self.wormhole.send_message(random.choice(choices))

    def wormhole_got_message(self, message: bytes) -> None:
        if self._chats:
            self.person.got.append(message.decode())
            self.world.say(self.name, f"gets {message.decode()!r}")
            if len(self.person.got) == 2 * MESSAGES:
                self.wormhole.close()
            return
        said = next(iter(messages.read(message)), None)
        if isinstance(said, messages.TextOffer):
            self.person.got.append(said.text)
            self.world.say(self.name, "gets the secret")
            self.wormhole.send_message(messages.accept_text())
        self.wormhole.close()

    def wormhole_closed(self, result: object) -> None:
        self.world.say(
            self.name, f"is done: {result if isinstance(result, str) else type(result).__name__}"
        )
        self.reactor.callLater(0, self._leave, result)

    def _leave(self, result: object) -> None:
        self.person.ended(result)
        self.wormhole.when_down().addCallback(lambda _: setattr(self, "doomed", True))


CLIENTS: dict[str, type[Client]] = {}
"""What people use whose plan needs a client of another kind."""


def repeat(socket: Socket, body: str) -> None:
    """Say something again that was said, or something else in its place."""
    frame = json.loads(body)
    kernel = socket.network.kernel
    if frame.get("type") == "add" and kernel.random.random() < 0.7:
        if kernel.random.random() < 0.5:
            socket.process.world.count("peer said other bytes under the same phase")
            frame["body"] = kernel.random.randbytes(40).hex()
        else:
            socket.process.world.count("peer repeated itself")
        frame["id"] = kernel.random.randbytes(2).hex()
        again = json.dumps(frame)
        kernel.after(kernel.between(0, 2), partial(_put, socket, again))


def _put(socket: Socket, body: str) -> None:
    if socket.is_open and socket.process.alive:
        socket.up.put(body)


@define(eq=False, repr=False)
class Stranger(Process):
    """Speaks to the server without any core: crowds mailboxes, or takes nameplates."""

    nameplate: str | None = field(kw_only=True)
    """What it enters; None: it has one allocated, and keeps it."""
    appid: str = field(kw_only=True)
    socket: Any = field(default=None, init=False)

    def begin(self) -> None:
        side = os.urandom(5).hex()
        self.world.strangers.add(side)
        self.world.trace.name(side, self.name)
        self.side = side
        self.socket = self.dialer.dial(URL, self)

    side: str = field(default="", init=False)

    def opened(self) -> None:
        self._say(type="bind", appid=self.appid, side=self.side)
        if self.nameplate is None:
            self._say(type="allocate")
        else:
            self._say(type="claim", nameplate=self.nameplate)

    def _say(self, **fields: Any) -> None:
        self.socket.send(json.dumps({"id": "0000", **fields}))

    def received(self, texts: Sequence[str]) -> None:
        for said in texts:
            self._heard(json.loads(said))

    def _heard(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "allocated":
            self._say(type="claim", nameplate=frame["nameplate"])
        elif frame["type"] == "claimed":
            self._say(type="open", mailbox=frame["mailbox"])
            if self.nameplate is not None and self.kernel.random.random() < 0.5:
                body = self.kernel.random.randbytes(33).hex()
                self._say(type="add", phase="pake", body=body)

    def closed(self, reason: object) -> None:
        self.doomed = True
