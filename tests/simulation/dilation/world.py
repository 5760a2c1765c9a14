"""A world of one dilated wormhole: its two ends, a mailbox server, and everything between them."""

from __future__ import annotations

import os
import random as chance
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from attrs import define, field
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from holdfast.shell import alive
from holdfast.testing import MailboxServer
from tests.simulation.dilation.durable import Saved
from tests.simulation.dilation.faults import Faults
from tests.simulation.dilation.ours import Ours
from tests.simulation.dilation.relay import ADDRESS as RELAY
from tests.simulation.dilation.relay import Relay
from tests.simulation.dilation.script import ENDS, Script
from tests.simulation.dilation.stock import Stock
from tests.simulation.dilation.watch import Watch
from tests.simulation.kernel import Died, Kernel
from tests.simulation.lines import End as LineEnd
from tests.simulation.lines import Lines, LinesWatcher
from tests.simulation.network import Network, Socket
from tests.simulation.trace import Trace

MORNING = 1_700_000_000.0
"""What the wall clock shows in the beginning."""


@define(eq=False, repr=False)
class End:
    """One end of the wormhole, whatever processes it has."""

    world: World
    number: int
    kind: type[Ours | Stock]
    leads: bool = False
    """Whether a stock peer will lead."""
    mortal: bool = False
    """Whether a stock peer dies some time after its first connection, for good."""
    at_once: bool = False
    """Whether commits take no time."""
    options: dict[str, Any] = field(factory=dict)
    """The arguments of `dilate`."""
    saved: Saved | None = field(default=None, init=False)
    over: bool = field(default=False, init=False)
    process: Ours | Stock | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return ENDS[self.number]

    @property
    def address(self) -> str:
        """Where its processes are, one after another."""
        return f"192.0.2.{self.number + 1}"

    def begin(self) -> None:
        """Start a process."""
        world = self.world
        self.process = self.kind(
            f"{self.name}{world.next_number()}",
            world.kernel,
            world=world,  # type: ignore[arg-type]
            address=self.address,
            end=self,
        )
        world.kernel.after(0, self.process.begin, self.process)

    def leaves(self, process: Ours | Stock, result: object) -> None:
        """The wormhole is closed."""
        told = result if isinstance(result, str) else type(result).__name__
        process.say(f"is done: {told}")
        kind = "ours" if isinstance(process, Ours) else "stock"
        self.world.ended[f"{kind} {told}"] += 1
        if result != "happy":
            self.world.violate(f"{self.name} is closed: {result!r}")

    def gone(self, process: Ours | Stock) -> None:
        """A process of this end is dead."""
        self.process = None
        if not self.over and not self.world.closing:
            self.world.kernel.after(self.world.kernel.between(0.05, self.world.away), self.begin)


@define(eq=False, repr=False)
class World:
    """Everything there is."""

    seed: str
    code: str = "4-blue-whale"
    trace: Trace = field(factory=Trace, init=False)
    random: Random = field(init=False)
    kernel: Kernel = field(init=False)
    server: MailboxServer = field(init=False)
    network: Wires = field(init=False)
    lines: Lines = field(init=False)
    watch: Watch = field(init=False)
    faults: Faults = field(factory=Faults, init=False)
    scripts: Sequence[Script] = field(default=(), init=False)
    ends: list[End] = field(factory=list, init=False)
    counts: Counter[str] = field(factory=Counter, init=False)
    ended: Counter[str] = field(factory=Counter, init=False)
    """What became of the ends."""
    violations: list[str] = field(factory=list, init=False)
    unhandled: list[str] = field(factory=list, init=False)
    away: float = field(default=10.0, init=False)
    """Seconds at most until there is another process where one has died."""
    closing: bool = field(default=False, init=False)
    hurried: bool = field(default=False, init=False)
    """Whether the first end closes its wormhole before everything is said."""
    gone: bool = field(default=False, init=False)
    """Whether a stock peer has died, with everything that it knew."""
    relay: Relay | None = field(default=None, init=False)
    _numbers: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.random = Random(self.seed)
        self.kernel = Kernel(self.random)
        self.server = MailboxServer(self.seconds, self.random)
        passing = Passing(self)
        self.network = Wires(self.kernel, self.server, passing, world=self)
        self.lines = Lines(self.kernel, passing)
        self.lines.dead_is_dead = True
        self.watch = Watch(self)

    # Time, and what is told.

    def seconds(self) -> float:
        return self.kernel.now

    def wall(self) -> float:
        return self.kernel.now + MORNING

    def say(self, who: str, what: str) -> None:
        self.trace.say(self.kernel.now, who, what)

    def count(self, kind: str) -> None:
        self.counts[kind] += 1

    def violate(self, what: str) -> None:
        self.say("VIOLATION", what)
        self.violations.append(what)

    def broken(self, failure: Failure) -> None:
        """Something was raised inside an entry."""
        if not failure.check(Died):
            self.violate(f"an entry fails: {failure.getTraceback()}")

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def script(self, name: str) -> Script:
        return next(each for each in self.scripts if each.name == name)

    def begin_relay(self) -> None:
        """Start a relay, and another one when that is dead."""
        self.relay = Relay("relay", self.kernel, world=self, address=RELAY)  # type: ignore[arg-type]
        self.kernel.after(0, self.relay.begin, self.relay)

    @property
    def is_cut_short(self) -> bool:
        """Whether subchannels may end before everything is said."""
        return self.gone or self.hurried

    @property
    def lives(self) -> list[Ours | Stock]:
        return [end.process for end in self.ends if end.process is not None]

    @property
    def is_over(self) -> bool:
        return all(end.over for end in self.ends) and not self.lives

    def commit_delay(self) -> float:
        return self.faults.commit_delay()

    @contextmanager
    def real(self) -> Iterator[None]:
        """Put this world in the place of the real one."""
        saved = os.urandom, chance._urandom, alive._alive  # type: ignore[attr-defined]
        os.urandom = chance._urandom = self.random.randbytes  # type: ignore[attr-defined]
        globalLogPublisher.addObserver(self._logged)
        try:
            with self.watch.watching():
                yield
        finally:
            globalLogPublisher.removeObserver(self._logged)
            os.urandom, chance._urandom, alive._alive = saved  # type: ignore[attr-defined]

    def _logged(self, event: Any) -> None:
        failure = event.get("log_failure")
        process = self.kernel.current
        if event["log_level"].name not in ("error", "critical"):
            return
        if failure is not None and failure.check(Died):
            return
        if event["log_namespace"] == "twisted.internet.defer":
            if failure is not None:
                self.unhandled.append(failure.getTraceback())
        elif process is None or (process.alive and not process.doomed):
            trace = "" if failure is None else failure.getTraceback()
            self.violate(f"logged: {formatEvent(event)} {trace}")

    # The server.

    def restart_server(self, away: float) -> bool:
        if not self.server.running:
            return False
        self.say("server", f"goes away for {away:.1f} s")
        self.server.stop()
        self.kernel.after(away, self.server_back)
        return True

    def server_back(self) -> None:
        if not self.server.running:
            self.say("server", "is back")
            self.server.start()


@define(eq=False, repr=False)
class Wires(Network):
    """The connections to the server; what breaks is the world's affair."""

    world: World = field(kw_only=True)

    def passed(self, socket: Socket, text: str) -> None:
        self.world.faults.news()

    def survivors(self, under_way: int) -> int:
        return self.world.faults.survivors(under_way)


@define(eq=False, repr=False)
class Passing(LinesWatcher):
    """Who sees what passes lines, and connections to the server."""

    world: World

    def writes(self, end: LineEnd, data: bytes) -> None:
        self.world.faults.writes(end)

    def passed(self) -> None:
        self.world.faults.news()

    def survivors(self, under_way: int) -> int:
        return self.world.faults.survivors(under_way)

    def sends(self, socket: Socket, text: str) -> None:
        self.world.faults.sends(socket.process)

    def arrives(self, socket: Socket, text: str) -> None:
        pass

    def answers(self, socket: Socket, text: str) -> None:
        pass

    def hears(self, socket: Socket) -> None:
        pass

    def ends(self, socket: Socket, why: str) -> None:
        pass
