"""An exchange with a connection that a test holds in its hand, and the stages of its life."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from hashlib import blake2b

from attrs import define, field

from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.exchange import Exchange
from holdfast.core.wanted import Said, missing, used_up, wanted
from holdfast.rendezvous.wire import Malformed, Nameplates, Pong, read
from tests.core.mailboxes import APPID, Line, Server


@cache
def seed(name: object) -> bytes:
    """32 bytes that are always the same for *name*."""
    return blake2b(str(name).encode(), digest_size=32).digest()


def reloaded(exchange: Exchange) -> Exchange:
    """The exchange after its process died and another took its checkpoint."""
    return Exchange.from_serialized(json.loads(json.dumps(exchange.serialize())))


@define(eq=False)
class Client:
    """What a shell does around an exchange, step by step.

    Args:
        told: every notice, in order; as durable as the exchange.
        happened: every event that said something new, with its seed.
        away: whether the server has not been heard of for so long that it may have forgotten us;
            as durable as the exchange.
        lately: the same of the present connection, the other way round.
    """

    name: str
    server: Server
    exchange: Exchange = field(init=False)
    line: Line | None = None
    said: Said = field(factory=Said)
    welcomed: bool = False
    told: list[out.Notice] = field(factory=list)
    happened: list[tuple[ev.Event, bytes]] = field(factory=list)
    draws: int = 0
    away: bool = False
    lately: bool = True

    def __attrs_post_init__(self) -> None:
        side = blake2b(self.name.encode(), digest_size=5).hexdigest()
        self.exchange = Exchange(APPID, side, {"from": self.name})

    def happen(self, event: ev.Event) -> out.Notices | None:
        """Apply, and say what follows."""
        self.draws += 1
        drawn = seed(f"{self.name} {self.draws}")
        notices = self.exchange.apply(event, drawn)
        if notices is not None:
            self.happened.append((event, drawn))
            self.told.extend(notices)
        self.speak()
        return notices

    def speak(self) -> None:
        """Send what the server should hear now."""
        if self.line is None or not self.welcomed:
            return
        frames = wanted(self.exchange, self.said)
        self.exchange.saying(frames)
        for frame in frames:
            self.said.note(frame)
        assert wanted(self.exchange, self.said) == (), "what was said is wanted no more"
        self.line.send(frames)

    def connect(self) -> None:
        """Open a new connection."""
        assert self.line is None
        self.line, self.said, self.welcomed = self.server.connect(), Said(), False

    def listen(self) -> None:
        """Take one text that is on its way down."""
        assert self.line is not None
        self.hear(self.line.down.popleft())

    def hear(self, text: str) -> None:
        """The server says *text*."""
        try:
            event = read(text)
        except Malformed as error:
            event = ev.ServerMisbehaved(str(error))
        if isinstance(event, ev.Welcomed):
            self.lately = not self.away or self.exchange.nameplate.state in ("none", "wanted")
            if not self.lately and not self.welcomed:
                self.happen(ev.LongAbsence())
            self.welcomed = True
        if isinstance(event, ev.Allocated | ev.Claimed | ev.MessageArrived):
            self.lately, self.away = True, False
        if isinstance(event, Pong):
            self.said.caught_up = True
            if missing(self.exchange, self.said):
                self.happen(ev.MailboxMissing())
            else:
                self.speak()
        elif isinstance(event, Nameplates):
            taken = self.exchange.nameplate.data.nameplate in event.nameplates
            self.happen(ev.NameplateListed(taken, self.lately))
        elif event is not None:
            if isinstance(event, ev.MessageArrived):
                self.said.hear(event, self.exchange)
            self.happen(event)
        if self.exchange.ended:
            self.hang_up()
        elif used_up(self.exchange, self.said):
            self.lose()
            self.connect()

    def hang_up(self) -> None:
        """The connection ends; all that had been said on it arrives."""
        while self.line is not None and self.line.up:
            self.server.hear(self.line)
        self.lose()

    def lose(self) -> None:
        """The connection ends, with all that was on its way."""
        if self.line is not None:
            line, self.line = self.line, None
            self.server.lose_allocation(line)
            self.server.cut(line)
            self.happen(ev.ConnectionLost())

    def die(self) -> None:
        """The process ends without a word; another one takes the checkpoint."""
        if self.line is not None:
            self.server.lose_allocation(self.line)
            self.server.cut(self.line)
            self.line = None
        self.exchange = reloaded(self.exchange)

    @property
    def messages(self) -> list[bytes]:
        """The peer's messages."""
        return [each.plaintext for each in self.told if isinstance(each, out.GotMessage)]

    @property
    def code(self) -> str:
        """The code; an error when there is none."""
        return self.exchange.code.data.code

    @property
    def ending(self) -> out.Closed:
        """How it ended; an error unless it ended exactly once, and with nothing after that."""
        [closed] = [each for each in self.told if isinstance(each, out.Closed)]
        assert self.told[-1] == closed
        return closed


def settle(*clients: Client) -> None:
    """Let everything arrive that is on its way, on the connections that are there."""
    busy = True
    while busy:
        busy = False
        for client in clients:
            if client.line is not None and client.line not in client.server.lines:
                client.line = None
                client.happen(ev.ConnectionLost())
            while client.line is not None and client.line.up:
                client.server.hear(client.line)
                busy = True
            if client.line is not None and client.line.down:
                client.listen()
                busy = True


def run_to_the_end(*clients: Client, connections: int = 3) -> None:
    """Connect whenever a connection is missing, until all have ended; no more often than this."""
    tries = dict.fromkeys(clients, 0)
    settle(*clients)
    for _ in range(connections + 1):
        for client in clients:
            if client.line is None and not client.exchange.ended:
                tries[client] += 1
                assert tries[client] <= connections, "it connects again and again"
                client.connect()
        settle(*clients)
    for client in clients:
        assert client.exchange.ended, f"it waits for ever: {client.exchange}"


@define
class World:
    """A server, one client that is looked at, and its peer."""

    server: Server
    us: Client
    peer: Client


def _world() -> World:
    server = Server()
    return World(server, Client("us", server), Client("peer", server))


def no_code() -> World:
    """Connected, and nothing more."""
    world = _world()
    world.us.connect()
    settle(world.us)
    return world


def allocate_wanted() -> World:
    """A code is wanted, and there is no connection."""
    world = _world()
    world.us.happen(ev.AllocateCode(2))
    return world


def allocate_asked() -> World:
    """The server was asked for a nameplate."""
    world = allocate_wanted()
    world.us.connect()
    world.us.listen()
    assert world.us.exchange.code.state == "asked"
    return world


def allocate_answered() -> World:
    """The nameplate is there, and its claim is on its way."""
    world = allocate_asked()
    until(world, lambda us: us.exchange.code.state == "known")
    return world


def code_set() -> World:
    """A code was set before there was any connection."""
    world = _world()
    world.us.happen(ev.SetCode("1-purple-sausages"))
    return world


def claiming() -> World:
    """The claim is on its way."""
    world = code_set()
    world.us.connect()
    world.us.listen()
    assert world.us.exchange.nameplate.state == "claiming"
    return world


def claimed() -> World:
    """The mailbox is known, and not open yet."""
    world = claiming()
    until(world, lambda us: us.exchange.nameplate.state == "claimed")
    return world


def alone() -> World:
    """The mailbox is open, our half lies in it, and nobody came."""
    world = claimed()
    settle(world.us)
    assert not world.us.exchange.outbox.data.undelivered
    return world


def agreed() -> World:
    """The peer's half came, and nothing else of it."""
    world = alone()
    world.peer.happen(ev.SetCode(world.us.code))
    world.peer.connect()
    until_key(world, "agreed")
    return world


def happy() -> World:
    """The peer has proved itself."""
    world = agreed()
    settle(world.us, world.peer)
    assert world.us.exchange.lifecycle.state == world.peer.exchange.lifecycle.state == "happy"
    return world


def happy_unsent() -> World:
    """Two messages of ours are on their way."""
    world = happy()
    world.us.happen(ev.SendMessage(b"one"))
    world.us.happen(ev.SendMessage(b"two"))
    return world


def dilatable() -> World:
    """Both have said that they can dilate, and neither has begun."""
    world = code_set()
    for client in (world.us, world.peer):
        client.exchange.talk.dilation = True
        client.connect()
    world.peer.happen(ev.SetCode(world.us.code))
    settle(world.us, world.peer)
    return world


def dilated() -> World:
    """Three messages of our dilation: one that the peer has, one that is stored, one on its way."""
    world = dilatable()
    world.us.happen(ev.Dilate())
    for number in range(2):
        world.us.happen(ev.SendDilation(b"ours %d" % number))
    settle(world.us)
    world.us.happen(ev.DilationSeen(1))
    world.us.happen(ev.SendDilation(b"ours 2"))
    return world


def absent() -> World:
    """The claim may have been sent long ago; the server is asked for the nameplates."""
    world = allocate_answered()
    world.us.lose()
    world.server.forget()
    world.us.away = True
    world.us.connect()
    world.us.listen()
    assert world.us.exchange.nameplate.state == "doubtful"
    return world


def missing_mailbox() -> World:
    """The mailbox that we had filled is empty, and the server is asked for the nameplates."""
    world = alone()
    world.server.forget()
    world.us.lose()
    world.us.connect()
    until(world, lambda us: us.exchange.nameplate.state == "doubtful")
    return world


def unfilled_mailbox() -> World:
    """The mailbox that we had never filled is empty, and the server is asked for the nameplates."""
    world = claimed()
    world.us.lose()
    world.us.connect()
    until(world, lambda us: us.exchange.nameplate.state == "doubtful")
    return world


def yielding() -> World:
    """The nameplate is somebody's, perhaps ours; it is given back."""
    world = allocate_answered()
    until(world, lambda us: us.exchange.nameplate.state == "claimed")
    world.us.lose()
    world.us.away = True
    world.us.connect()
    until(world, lambda us: us.exchange.nameplate.state == "yielding")
    return world


def yielded() -> World:
    """It was given back, and whose it is now is about to be asked."""
    world = yielding()
    until(world, lambda us: us.exchange.nameplate.state == "yielded")
    return world


def replaced() -> World:
    """The code was lost before anybody was told it: another one is asked for."""
    world = _world()
    world.us.happen(ev.AllocateCode(2, discreet=True))
    world.us.connect()
    until(world, lambda us: us.exchange.nameplate.state == "claiming")
    world.us.lose()
    world.server.forget()
    world.server.take(world.us.exchange.nameplate.data.nameplate)
    world.us.away = True
    world.us.connect()
    until(world, lambda us: us.exchange.nameplate.state == "none")
    return world


def claimed_again() -> World:
    """The nameplate was free, and is claimed once more."""
    world = missing_mailbox()
    until(world, lambda us: us.exchange.nameplate.state == "claiming")
    return world


STAGES: dict[str, Callable[[], World]] = {
    stage.__name__: stage
    for stage in (
        no_code,
        allocate_wanted,
        allocate_asked,
        allocate_answered,
        code_set,
        claiming,
        claimed,
        alone,
        agreed,
        happy,
        happy_unsent,
        dilatable,
        dilated,
        absent,
        missing_mailbox,
        unfilled_mailbox,
        claimed_again,
        yielding,
        yielded,
        replaced,
    )
}


def until(world: World, reached: Callable[[Client], bool]) -> None:
    """Let things arrive one by one until our client is there."""
    while not reached(world.us):
        assert world.us.line is not None
        if world.us.line.down:
            world.us.listen()
        else:
            world.server.hear(world.us.line)


def until_key(world: World, state: str) -> None:
    """Let the peer's things arrive, and ours, until our key is in *state*."""
    while world.us.exchange.key.state != state:
        moved = False
        for client in (world.peer, world.us):
            if client.line is not None and client.line.up:
                world.server.hear(client.line)
            elif client.line is not None and client.line.down:
                client.listen()
            else:
                continue
            moved = True
        assert moved, "nothing is on its way"
