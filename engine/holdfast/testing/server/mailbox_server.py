"""A model of the mailbox server: what `magic-wormhole-mailbox-server` 0.8.0 does, and nothing else.

It has no sockets, no clock and no randomness of its own, and it answers within the call.
`tests/simulation/conformance` runs the same scripts against it and the real one, and compares every
answer and, after each step, every row; so what looks odd here is odd there.
The oddities worth knowing:

- An `ack` goes out before the work, but is lost if the work makes the server cut the connection:
  it was not written yet.
- A third side is stored before it is refused. From then on `claim`, `open` and `close` are refused
  to all connections that are not in the mailbox already; those that are go on, and everybody may
  `release`.
- After its `close` a connection may `open` again, even another mailbox, but not close that.
- The last side to close a mailbox cannot while another side is on the nameplate, even one that
  released it but was not the last to. The connection is cut, at every attempt, and the mailbox
  touched each time. But what the closing side had on the nameplate is gone by then, so the way out
  is that the others release, or close once more.
- That removal is not committed, as nothing is that was done before the server stumbled: it is
  seen by all, the next commit of anybody makes it durable, and a server that dies before loses it.
- When the last side closes a mailbox on one connection, its other connections there are not told.
  What they add is stored under the mailbox's name, echoed to nobody, and replayed to whoever opens
  that name again.
- A sweep drops from memory each application that has something stored but of which no mailbox was
  opened since the server started. Who is bound to it at that moment has a part of the server of its
  own from then on: it gets what is stored, but nothing live from those who bind later (nor they
  from it), and having a mailbox open no longer keeps that.
- A `side` that is no text is taken by `bind`; whatever needs it later cuts the connection.
- Numbers as phase, body or id are echoed as numbers, and replayed as texts.
"""

from collections.abc import Callable, Mapping
from random import Random

from attrs import define, field

from holdfast.testing.server.line import Line
from holdfast.testing.server.service import Service
from holdfast.testing.server.tables import Tables

EXPIRY = 660.0
"""Seconds after its last touch in which a mailbox without subscribers is kept."""
PERIOD = 300.0
"""Seconds from one sweep to the next; the first is at the start."""


@define(eq=False, repr=False)
class MailboxServer:
    """The server.

    Args:
        now: its clock, in seconds; sweeps are made up for when it is next used.
        random: chooses nameplates and the names of mailboxes.
        welcome: what it greets with.
    """

    now: Callable[[], float]
    random: Random = field(factory=lambda: Random(0))  # noqa: S311 - of a test
    welcome: Mapping[str, object] = field(factory=dict)
    lines: list[Line] = field(factory=list, init=False)
    """The connections that there are, as far as it knows."""
    running: bool = field(default=True, init=False)
    service: Service = field(init=False)
    _started: float = field(init=False)
    _swept: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = Service(self.random)
        self._started = self._swept = self.now()

    def connect(self, deliver: Callable[[str], None], cut: Callable[[], None]) -> Line:
        """Accept a connection, which is told texts by `deliver`, and by `cut` that it is broken.

        Both are called from within calls of the server, and must not call it.

        Raises:
            ConnectionRefusedError: it does not run.
        """
        if not self.running:
            raise ConnectionRefusedError
        self.catch_up()
        line = Line(self, deliver, cut)
        self.lines.append(line)
        line.say("welcome", welcome=dict(self.welcome))
        return line

    def tables(self) -> Tables:
        """What it keeps: to be looked at."""
        self.catch_up()
        return self.service.tables

    def catch_up(self) -> None:
        """Sweep, if that was due since something last happened.

        Everything that happens comes here first. So of several sweeps that are due only the last
        makes a difference, and it finds all as it was when it was due.
        """
        due = self._started + (self.now() - self._started) // PERIOD * PERIOD
        if self.running and due > self._swept:
            self._sweep(due)

    def sweep(self) -> None:
        """Sweep now, besides the sweeps that are due."""
        self.catch_up()
        self.service.sweep(self.now(), EXPIRY)

    def _sweep(self, now: float) -> None:
        self._swept = now
        self.service.sweep(now, EXPIRY)

    def stop(self) -> None:
        """Die: all connections are cut, and what was not committed is lost."""
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

    def restart(self, forget: bool = False) -> None:
        """Die, and start again; on an empty database if it is to `forget`."""
        self.stop()
        self.start(forget=forget)
