"""A small world without network and without waiting: a reactor whose clock is turned by hand, a
mailbox server in memory, peers, and an engine that can be killed between any two entries."""

import gc
import json
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from holdfast.core.exchange import Exchange
from holdfast.flows import Flow
from holdfast.flows.document import new_flow
from holdfast.flows.engine import Engine
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import Owner
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast_journal import EntryRow, FlowRow, ImmediateJournal, KeyRing, SqlJournal

URL = "ws://mailbox.example/v1"
BATCH = "batch"


class Reactor(Clock):
    """A clock turned by hand, which runs at once what is meant for a thread."""

    def getThreadPool(self) -> "Reactor":  # noqa: N802
        return self

    def callInThreadWithCallback(self, done, function, *args, **kwargs) -> None:  # noqa: N802
        try:
            result = function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - as a thread pool does
            done(False, Failure())
        else:
            done(True, result)

    def callFromThread(self, function, *args, **kwargs) -> None:  # noqa: N802
        function(*args, **kwargs)


@define(eq=False, repr=False)
class Link:
    """One connection, as the wormhole sees it."""

    server: "Server"
    owner: Owner
    is_dead: Callable[[], bool]
    up: bool = True
    is_paused: bool = False
    unread: list[str] = field(factory=list)
    side: str = ""
    mailbox: str | None = None

    @property
    def there(self) -> bool:
        return self.up

    def send(self, text: str) -> None:
        if self.up and not self.is_dead():
            self.server.heard(self, json.loads(text))

    def close(self) -> None:
        self.up = False

    def abort(self, reason: str = "") -> None:
        self.up = False

    def receive(self, **fields: Any) -> None:
        """Have the owner receive this, a little later."""
        self.server.queue.append(partial(self._receive, json.dumps(fields)))

    def _receive(self, text: str) -> None:
        self.unread.append(text)
        if not self.server.together:
            self._read()
        elif len(self.unread) == 1:
            self.server.queue.append(partial(self._read))

    def _read(self) -> None:
        texts, self.unread = self.unread, []
        if self.up:
            self.owner.received(texts)


@define(eq=False, repr=False)
class Line:
    """A connector: has one connection after another while the server is up."""

    server: "Server"
    owner: Owner
    is_dead: Callable[[], bool] = lambda: False
    """Asked before anything is sent: whether the process has died just now."""
    link: Link | None = None
    there: bool = False

    def start(self) -> None:
        self.there = True
        self.server.lines.append(self)
        self.connect()

    def connect(self) -> None:
        if not self.server.up:
            reason = ConnectionEnded("connection refused", clean=False)
            self.server.queue.append(partial(self._tell, self.owner.failed, reason, 1.0))
            return
        self.link = Link(self.server, self.owner, self.is_dead)
        self.server.queue.append(partial(self._tell, self.owner.connected, self.link))
        self.link.receive(type="welcome", welcome=self.server.welcome)

    def welcomed(self) -> None:
        pass

    def cut(self) -> None:
        """The connection breaks."""
        if self.link is not None and self.link.up:
            self.link.up = False
            reason = ConnectionEnded("cut", clean=False)
            self.server.queue.append(partial(self._tell, self.owner.disconnected, reason))

    def stop(self) -> "Deferred[None]":
        self.there = False
        if self.link is not None:
            self.link.up = False
        if self in self.server.lines:
            self.server.lines.remove(self)
        return succeed(None)

    def _tell(self, method: Callable[..., object], *args: object) -> None:
        if self.there:
            method(*args)


@define(eq=False, repr=False)
class Server:
    """A mailbox server in memory, which forgets nothing that was not released or closed."""

    up: bool = True
    welcome: dict[str, Any] = field(factory=dict)
    nameplates: dict[str, set[str]] = field(factory=dict)
    mailboxes: dict[str, list[dict[str, str]]] = field(factory=dict)
    opened: dict[str, set[str]] = field(factory=dict)
    log: list[tuple[str, str]] = field(factory=list)
    """(side, frame) of all that was heard; the frame is its type, or "add PHASE"."""
    lines: list[Line] = field(factory=list)
    queue: "deque[partial[object]]" = field(factory=deque)
    together: bool = False
    """Whether wormholes read at once whatever is on its way to them."""
    numbers: int = 0

    def connector(self, url: str, owner: Owner) -> Line:
        assert url == URL
        return Line(self, owner)

    @property
    def empty(self) -> bool:
        return not self.nameplates and not self.mailboxes

    def go_down(self) -> None:
        self.up = False
        for line in tuple(self.lines):
            line.cut()

    def come_up(self) -> None:
        self.up = True
        for line in tuple(self.lines):
            line.connect()

    def forget_the_gone(self) -> None:
        """Drop what is on its way to those who are not there."""
        there = [call for call in self.queue if call.func.__self__.there]
        self.queue = deque(there)

    def heard(self, link: Link, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        getattr(self, f"_{kind}")(link, frame)
        self.log.append((link.side, f"add {frame['phase']}" if kind == "add" else kind))

    def _bind(self, link: Link, frame: dict[str, Any]) -> None:
        link.side = frame["side"]

    def _allocate(self, link: Link, frame: dict[str, Any]) -> None:
        self.numbers += 1
        name = str(self.numbers)
        self.nameplates[name] = {link.side}
        self.mailboxes[f"mailbox-{name}"] = []
        link.receive(type="allocated", nameplate=name)

    def _claim(self, link: Link, frame: dict[str, Any]) -> None:
        name = frame["nameplate"]
        self.nameplates.setdefault(name, set()).add(link.side)
        self.mailboxes.setdefault(f"mailbox-{name}", [])
        link.receive(type="claimed", mailbox=f"mailbox-{name}")

    def _open(self, link: Link, frame: dict[str, Any]) -> None:
        link.mailbox = frame["mailbox"]
        self.opened.setdefault(link.mailbox, set()).add(link.side)
        for message in self.mailboxes.setdefault(link.mailbox, []):
            link.receive(type="message", **message)

    def _ping(self, link: Link, frame: dict[str, Any]) -> None:
        link.receive(type="pong", pong=frame["ping"])

    def _list(self, link: Link, frame: dict[str, Any]) -> None:
        link.receive(type="nameplates", nameplates=[{"id": name} for name in self.nameplates])

    def _add(self, link: Link, frame: dict[str, Any]) -> None:
        assert link.mailbox is not None
        message = {"side": link.side, "phase": frame["phase"], "body": frame["body"]}
        self.mailboxes[link.mailbox].append(message)
        for line in self.lines:
            if line.link is not None and line.link.mailbox == link.mailbox:
                line.link.receive(type="message", **message)

    def _release(self, link: Link, frame: dict[str, Any]) -> None:
        name = frame["nameplate"]
        self.nameplates.get(name, set()).discard(link.side)
        if not self.nameplates.get(name):
            self.nameplates.pop(name, None)
        link.receive(type="released")

    def _close(self, link: Link, frame: dict[str, Any]) -> None:
        mailbox = frame["mailbox"]
        self.opened.get(mailbox, set()).discard(link.side)
        if not self.opened.get(mailbox):
            self.mailboxes.pop(mailbox, None)
        link.receive(type="closed")


@define(eq=False, repr=False)
class Peer:
    """The other side: enters a code, and notes all that it is told."""

    server: Server
    appid: str
    got: list[tuple[str, Any]] = field(factory=list)
    on_message: Callable[["Peer", bytes], object] = lambda peer, message: None
    wormhole: DelegatedWormhole = field(init=False)

    def __attrs_post_init__(self) -> None:
        exchange = Exchange(self.appid, f"peer{id(self):x}"[-10:])
        journal = ImmediateJournal()
        self.wormhole = DelegatedWormhole(URL, exchange, self, journal, self.server.connector)
        self.wormhole.start()

    def enter(self, code: str) -> "Peer":
        self.wormhole.set_code(code)
        return self

    @property
    def messages(self) -> list[bytes]:
        return [argument for name, argument in self.got if name == "message"]

    @property
    def result(self) -> Any:
        return next((argument for name, argument in self.got if name == "closed"), None)

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        self.got.append(("versions", versions))

    def wormhole_got_message(self, message: bytes) -> None:
        self.got.append(("message", message))
        self.on_message(self, message)

    def wormhole_closed(self, result: object) -> None:
        self.got.append(("closed", result))


@define(eq=False, repr=False)
class World:
    """A journal, and an engine that lives until it is killed."""

    url: str = "sqlite://"
    server: Server = field(factory=Server)
    reactor: Reactor = field(factory=Reactor)
    journal: SqlJournal = field(init=False)
    engine: Engine | None = None
    dies_when: Callable[[], bool] = lambda: False
    """Asked before every step: whether the process has died just now."""
    loses_when: Callable[[], bool] = lambda: False
    """Asked before the process sends anything: whether it has died just now."""
    lines: list[Line] = field(factory=list)
    """Those of the process."""
    set_back: float = 0.0
    """Seconds by which the machine's clock was set back."""
    retain: float = 0.0
    """Seconds for which what went well can still be read."""

    def __attrs_post_init__(self) -> None:
        gc.freeze()  # so that `kill` looks at what was made since, and is quick
        self.journal = SqlJournal.open_inline(self.url, clock=self.now, retain=self.retain)

    def seconds(self) -> float:
        """By a clock that never jumps."""
        return self.reactor.seconds()

    def now(self) -> float:
        """Seconds since the epoch, as the machine's clock has it."""
        return self.reactor.seconds() - self.set_back

    def died(self) -> bool:
        return self.loses_when()

    def add(self, flow: Flow, name: str = "ann", *, appid: str | None = None) -> None:
        """Start a flow, which nobody runs yet."""
        new = new_flow(name, flow, relay=URL, appid=appid or flow.appid)
        self.journal.start_flows(BATCH, [new])

    def start(self, **options: Any) -> None:
        """Start a process that runs flows."""
        options.setdefault("connector", self._ours)
        options.setdefault("threads", self.reactor)
        self.engine = Engine(self.journal, self.reactor, now=self.now, **options)
        self.engine.start()

    def _ours(self, url: str, owner: Owner) -> Line:
        self.lines.append(Line(self.server, owner, self.died))
        return self.lines[-1]

    def kill(self) -> None:
        """Let the process vanish, with all that it had in memory."""
        while self.lines:
            self.lines.pop().stop()
        self.server.forget_the_gone()
        now = self.reactor.seconds()
        self.reactor.calls.clear()
        self.reactor, self.engine = Reactor(), None
        self.reactor.advance(now)
        self.journal.give_back()
        gc.collect()

    def stop(self) -> None:
        """End the process cleanly, if there is one; then close the journal."""
        if self.engine is not None:
            self.engine.stop()
        self.journal.close()
        gc.unfreeze()

    def pump(self) -> bool:
        """Let everything arrive that is under way; return False if the process died."""
        while self.server.queue:
            if self.dies_when():
                return False
            self.server.queue.popleft()()
        return not self.dies_when()

    def until(self, reached: Callable[[], object], seconds: float = 600, step: float = 0.5) -> None:
        """Go on, through at most *seconds* of pretended time, until it is so."""
        end = self.reactor.seconds() + seconds
        while True:
            alive = self.pump()
            if reached():
                return
            if not alive:
                return
            assert self.reactor.seconds() < end, f"not in {seconds} s; {self.rows()[:9]}"
            self.reactor.advance(step)

    def rest(self, seconds: float = 5, step: float = 0.5) -> None:
        """Let time pass, in steps of so many seconds."""
        for _ in range(int(seconds / step)):
            self.pump()
            self.reactor.advance(step)
        self.pump()

    def rows(self) -> list[FlowRow]:
        return self.journal.overview()

    def row(self, name: str = "ann") -> FlowRow:
        [row] = self.journal.overview(name=name)
        return row

    def status(self, name: str = "ann") -> str:
        return self.row(name).status

    def published(self, name: str = "ann") -> dict[str, Any]:
        return dict(self.row(name).published or {})

    def code(self, name: str = "ann") -> str:
        """Wait for the code of a flow."""
        self.until(lambda: self.published(name).get("code"))
        return str(self.published(name)["code"])

    def peer(self, code: str, appid: str, **options: Any) -> Peer:
        return Peer(self.server, appid, **options).enter(code)

    def finished(self, name: str = "ann") -> bool:
        return self.row(name).finished_at is not None

    def history(self, name: str = "ann") -> list[EntryRow]:
        return self.journal.history(self.row(name).id)

    def heard(self, name: str = "ann") -> list[str]:
        return [entry.heard for entry in self.history(name)]


@define(eq=False, repr=False)
class Crashing(World):
    """A world whose processes have a journal each, in a file."""

    keys: KeyRing = field(factory=KeyRing.random)

    def __attrs_post_init__(self) -> None:
        gc.freeze()
        self._open()

    def _open(self) -> None:
        self.journal = SqlJournal.open_inline(
            self.url, keys=self.keys, clock=self.now, uptime=self.now
        )

    def crash(self) -> None:
        """Let the process vanish, which gives nothing back."""
        while self.lines:
            self.lines.pop().stop()
        self.server.forget_the_gone()
        now = self.reactor.seconds()
        self.reactor.calls.clear()
        self.reactor, self.engine = Reactor(), None
        self.reactor.advance(now)
        self.journal.close()
        self._open()
        gc.collect()

    def restart(self) -> None:
        """End the process cleanly, as a deployment does."""
        assert self.engine is not None
        stopped = self.engine.stop()
        self.pump()
        assert stopped.called
        self.crash()
