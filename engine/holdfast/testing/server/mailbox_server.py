"""A model of the mailbox server: what `magic-wormhole-mailbox-server` 0.8.0 does, and nothing else.

It has neither sockets, clock nor randomness of its own, and it answers within the call.
`tests/simulation/conformance` runs the same scripts against it and the real one, and compares every
answer and, after each step, every row. So what looks odd here is odd there too. The oddities worth
knowing:

- An `ack` is sent before the work, but is lost if the work makes the server cut the connection,
  because it was not written yet.
- A third side is stored before it is refused. From then on `claim`, `open` and `close` are refused
  to all connections that are not in the mailbox already; those that are continue, and every
  connection may `release`.
- After its `close` a connection may `open` again, even another mailbox, but not close that.
- The last side cannot close a mailbox while another side is on the nameplate, even one that
  released it but was not the last to. The connection is cut at every attempt, and the mailbox is
  touched each time. But what the closing side had on the nameplate is gone by then, so the way out
  is that the others release, or close once more.
- That removal, like everything that was done before the server stumbled, is not committed: every
  connection sees it, the next commit of any connection makes it durable, and a server that dies
  before loses it.
- When the last side closes a mailbox on one connection, its other connections there are not told.
  What they add is stored under the mailbox's name, not echoed, and replayed to a client that opens
  that name again.
- A sweep drops from memory each application that has something stored but had no mailbox opened
  since the server started. A connection that is bound to it at that moment has its own part of the
  server from then on: it gets what is stored, but nothing live from clients that bind later (nor
  they from it), and having a mailbox open no longer keeps that mailbox from being swept.
- A `side` that is not a string is accepted by `bind`; whatever needs it later cuts the connection.
- Numbers as phase, body or id are echoed as numbers, and replayed as strings.

If asked to, it offers watching besides, as `holdfast mailbox` does (docs/watching.md).
"""

from collections.abc import Callable, Mapping
from random import Random

from attrs import define, field

from holdfast.testing.server.line import Line
from holdfast.testing.server.service import Service
from holdfast.testing.server.tables import Tables
from holdfast.testing.server.watch_line import BATCH, KEY

EXPIRY = 660.0
"""Seconds for which a mailbox without subscribers is kept after it was last touched."""
PERIOD = 300.0
"""Seconds from one sweep to the next; the first is at the start."""


@define(eq=False, repr=False)
class MailboxServer:
    """The server.

    Args:
        now: its clock, in seconds; sweeps that are due are made up for at the next use.
        random: chooses nameplates and the names of mailboxes.
        welcome: the content of its `welcome`.
        watched: how many mailboxes one watcher may watch; with 0 watching is not offered.
    """

    now: Callable[[], float]
    random: Random = field(factory=lambda: Random(0))  # noqa: S311 - of a test
    welcome: Mapping[str, object] = field(factory=dict)
    watched: int = 0
    lines: list[Line] = field(factory=list, init=False)
    """The connections that are open, as far as the server knows."""
    running: bool = field(default=True, init=False)
    service: Service = field(init=False)
    _started: float = field(init=False)
    _swept: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = Service(self.random)
        self._started = self._swept = self.now()

    def connect(self, deliver: Callable[[str], None], cut: Callable[[], None]) -> Line:
        """Accept a connection: `deliver` is called with each text for it, `cut` when it breaks.

        Both are called from within calls of the server, and must not call it.

        Raises:
            ConnectionRefusedError: the server is not running.
        """
        if not self.running:
            raise ConnectionRefusedError
        self.catch_up()
        line = Line(self, deliver, cut)
        self.lines.append(line)
        offer = {KEY: {"version": 1, "most": self.watched, "batch": BATCH}} if self.watched else {}
        line.say("welcome", welcome={**self.welcome, **offer})
        return line

    def tables(self) -> Tables:
        """The rows that the server keeps, to be read only."""
        self.catch_up()
        return self.service.tables

    def catch_up(self) -> None:
        """Sweep, if a sweep was due since something last happened.

        Everything that happens calls this first. So of several sweeps that are due, only the last
        makes a difference, and it finds everything as it was when it was due.
        """
        due = self._started + (self.now() - self._started) // PERIOD * PERIOD
        if self.running and due > self._swept:
            self._sweep(due)

    def tell(self) -> None:
        """Tell the watchers that are connected of what has come."""
        for line in tuple(self.lines):
            if line.watching is not None:
                line.watching.tell()

    def sweep(self) -> None:
        """Sweep now, in addition to the sweeps that are due."""
        self.catch_up()
        self._sweep(self.now())

    def _sweep(self, now: float) -> None:
        self._swept = max(now, self._swept)
        for line in self.lines:
            if line.watching is not None:
                line.watching.keep(now)
        self.service.tables.keep_watched(now - EXPIRY)
        self.service.tables.watches.forget(now - EXPIRY)
        self.service.sweep(now, EXPIRY)
        self.tell()

    def stop(self) -> None:
        """Kill the server: all connections are cut, and what was not committed is lost."""
        self.catch_up()
        self.running = False
        for line in tuple(self.lines):
            line.break_off()
        self.service.die()

    def start(self, *, forget: bool = False) -> None:
        """Start again, with a sweep; on an empty database if it is to `forget`."""
        if forget:
            self.service.tables = Tables()
        self.running = True
        self._started = self.now()
        self._sweep(self._started)

    def restart(self, *, forget: bool = False) -> None:
        """Die, and start again; on an empty database if it is to `forget`."""
        self.stop()
        self.start(forget=forget)
