"""Our own process: the real engine on the real journal, from its start to its end.

A *life* is one process; what it knows is gone with it, and what it committed is there for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from attrs import define, field

from holdfast.flows.engine.engine import Engine
from holdfast.flows.engine.executor import Executor
from holdfast.rendezvous.connector import Connector
from holdfast.shell import alive
from holdfast.transit import network, through
from holdfast_journal import DatabaseUnusable, SqlJournal
from tests.simulation import threads
from tests.simulation.flows import KINDS
from tests.simulation.kernel import Died
from tests.simulation.lines import Net
from tests.simulation.network import Dialer
from tests.simulation.storage import KEYS

if TYPE_CHECKING:
    from tests.simulation.world import World


@define(eq=False, repr=False)
class Process(threads.Process):
    """A process with a network, ours or somebody else's."""

    world: World = field(kw_only=True)
    address: str = field(default="", kw_only=True)
    """Where others can reach it; by default an address of its own."""
    dialer: Dialer = field(init=False)
    _wormholes: Any = field(factory=WeakValueDictionary, init=False)

    def __attrs_post_init__(self) -> None:
        threads.Process.__attrs_post_init__(self)
        self.dialer = Dialer(self.world.network, self)
        self.address = self.address or self.world.new_address()
        through(self.reactor, Net(self.world.lines, self, self.address))

    def entered(self) -> None:
        threads.Process.entered(self)
        alive._alive = self._wormholes  # which wormholes are alive in *this* process

    def connector(self, url: str, owner: Any) -> Any:
        return Connector(self.dialer, url, owner, self.kernel.random)

    def say(self, what: str) -> None:
        self.world.say(self.name, what)

    def buried(self) -> None:
        for socket in tuple(self.world.network.sockets):
            if socket.process is self:
                socket.orphaned()
        self.world.lines.gone(self)
        network._networks.pop(self.reactor, None)  # its value holds its key
        threads.Process.buried(self)


@define(eq=False, repr=False)
class Life(Process):
    """One process that runs flows."""

    is_ours = True
    connections: int = field(kw_only=True)
    serve: Sequence[str] = field(default=KINDS, kw_only=True)
    """Kinds of flows that it runs."""
    journal: SqlJournal | None = field(default=None, init=False)
    engine: Engine | None = field(default=None, init=False)
    stopping: bool = field(default=False, init=False)
    was_paused: bool = field(default=False, init=False)
    """Whether all of it was paused since its reactor stands still."""
    waits_since: float | None = field(default=None, init=False)
    """When the database first failed to answer what it still waits for."""

    def resume(self) -> None:
        """Go on; it could notice nothing while it stood still."""
        if self.waits_since is not None:
            self.waits_since = self.kernel.now
        Process.resume(self)

    def get_stuck(self) -> None:
        """A function blocks the reactor; the threads go on."""
        self.stuck, self.was_paused = True, False

    def pause(self) -> None:
        self.was_paused = True
        Process.pause(self)

    def come_unstuck(self) -> None:
        """The function has returned for which the reactor waited."""
        self.stuck = False
        self.resume()

    @property
    def worker(self) -> int | None:
        """Its number in the database, while it has one."""
        return None if self.journal is None else self.journal.worker

    def begin(self) -> None:
        """As `holdfast run` begins."""
        world = self.world
        self.say("starts")
        try:
            self.journal = SqlJournal.open(
                "sqlite://",
                keys=KEYS,
                reactor=self.reactor,
                on_fatal=self._fatal,
                host=self.name,
                clock=world.wall,
                uptime=world.seconds,
            )
        except DatabaseUnusable as error:
            self.say(f"cannot start: {error}")
            self.exit()
            return
        registration = self.journal._registration
        writing = self.journal._writer._writing
        held, lookout = self.journal._held, self.journal._lookout
        threads.drive(held, lookout, writing, registration, registration.renewing)
        self.journal.pressure.listen(self._pressed)
        self.engine = Engine(
            self.journal,
            self.reactor,
            serve=self.serve,
            connector=self.connector,
            connections=self.connections,
            now=world.wall,
            threads=self.reactor,
        )
        self.engine.executor = Executor(
            self.reactor, world.wall, Random(world.random.getrandbits(64)), self.reactor
        )
        self.engine.start().addErrback(self._failed)

    def stop(self) -> None:
        """As a deployment ends it: with SIGTERM."""
        if self.stopping or not self.alive:
            return
        self.stopping = True
        if self.engine is None:
            self.exit()
            return
        self.say("is asked to stop")
        stopped = self.engine.stop().addBoth(self._stopped)
        stopped.addErrback(lambda failure: failure.trap(Died))  # the kernel knows

    def exit(self) -> None:
        self.doomed = True

    def _stopped(self, result: object) -> None:
        if not self.alive or self.doomed:
            return
        self.say("stops")
        self.world.check_stop(result)
        if self.journal is not None:
            self.journal.close()
        self.exit()

    def _failed(self, failure: Any) -> None:
        if self.alive and not self.doomed:
            self.say(f"its engine failed: {failure.type.__name__}: {failure.getErrorMessage()}")
            self.world.check_failure(failure)
            self.stop()

    def _fatal(self, error: object) -> None:
        self.say("its journal is broken")
        self.stop()

    def _pressed(self, high: bool) -> None:
        self.say("the database does not answer, it waits" if high else "the database answers again")
        self.world.count("the journal held up reading")
        if high:
            self.dialer.pause()
        else:
            self.dialer.resume()

    def buried(self) -> None:
        self.say("is gone")
        if self.engine is not None:
            # Twisted would complain of Deferreds that nobody waits for any more.
            self.engine = None
        Process.buried(self)
        self.world.buried(self)
