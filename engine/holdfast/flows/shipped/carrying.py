"""Carrying a file: find a connection to the peer, and move the bytes in a thread.

What both roles share. A role's `Cargo` does the work in the thread, and knows what its end means.

With a stock client there is one connection. With another Holdfast there may be any number, one
after the other, until the flow is over: this part waits a little longer after each that broke.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, Final

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.crypto import derive
from holdfast.flows.activities import Session
from holdfast.flows.shipped.cargo import CannotGoOn, Cargo, Interrupted, Line, MayHaveIt, Misbehaved
from holdfast.flows.shipped.keeping import ROUTE, Keeping
from holdfast.flows.shipped.sharing import HERE
from holdfast.flows.shipped.transferring import Reach, Receiving, Sending
from holdfast.transfer.throttle import ITS_TURN
from holdfast.transit import hints, network_of
from holdfast.transit.contest import Candidate, Contest, Link
from holdfast.transit.errors import TransitError, WireError
from holdfast.transit.kept_wire import KeptWire
from holdfast.transit.keys import TransitKeys
from holdfast.transit.wire import Wire

CONNECT_WITHIN: Final = 120.0
"""Seconds after the answer in which a connection to a stock client must be there; as long as they
try themselves."""

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to connect to another Holdfast, which double."""

SHORTEST_CONTEST: Final = 5.0
"""Seconds for one such attempt: relays are dialled two seconds after the first direct address."""

HEAR_WHY: Final = 2.0
"""Seconds in which a stock client may still say, in the mailbox, why the connection has broken."""

SIDE: Final = "holdfast transit relay side "
"""What our name at a relay is derived for. It follows from the key, so that it is the same after a
restart: under a new name a relay would connect us with ourselves."""


_log = Logger()


@define(eq=False)
class Carrying:
    """The activity of one transfer, in either role; the owner of its `Contest`."""

    session: Session
    cargo: Cargo
    wanted: Sending | Receiving | None = field(default=None, init=False)
    wire: Wire | None = field(default=None, init=False)
    """The connection that is in use."""
    _contest: Contest | None = field(default=None, init=False)
    _candidate: Candidate | None = field(default=None, init=False)
    _dialled: tuple[dict[str, Any], ...] | None = field(default=None, init=False)
    _stop: Event = field(factory=Event, init=False)
    _timer: Any = field(default=None, init=False)
    _pause: float = field(default=FIRST_PAUSE, init=False)
    _where: dict[str, Any] | None = field(default=None, init=False)
    """Where we can be reached, as the flow has it."""
    _left: int = field(default=0, init=False)
    """How many bytes have moved, which the flow may be told of only later."""
    _waits: str = field(default="", init=False)
    """Why it does not go on, as the flow has it."""
    _turn: Deferred[Any] | None = field(default=None, init=False)
    """While it waits for a place among those that send."""
    _threads: int = field(default=0, init=False)
    """How many work for us; one, or none."""
    _failed_flow: bool | None = field(default=None, init=False)
    """Once the flow is over: whether it failed."""
    _keeping: Keeping = field(init=False)
    """What becomes of a connection when this process dies."""

    def __attrs_post_init__(self) -> None:
        self._keeping = Keeping(self.session)

    # What the engine asks (`holdfast.flows.activities.Activity`).

    def wants(self, details: Any) -> None:
        """Go as far as the flow has come."""
        first = self.wanted is None
        moved_away = not first and details.reach.theirs != self._reach.theirs
        self.wanted = details
        if moved_away and self.wire is not None and details.reach.resumes:
            # It says so when it looks for a connection: ours is dead, and nobody has noticed.
            self.wire.interrupt()
        elif not first:
            self._dial()
            self._choose()
        else:
            # A stock client takes no second connection, but the first one may have outlived us.
            stock = details.stage != "reachable" and not details.reach.resumes
            found = self._keeping.find(details.reach.key, wanted=stock)
            found.addCallback(self._found).addErrback(self._failed)

    def _found(self, wire: KeptWire | None) -> None:
        """This is the connection of an earlier life, if it is there still."""
        if self._stop.is_set():
            self.wire = wire
            self.stop()
            return
        wanted = self.wanted
        assert wanted is not None  # noqa: S101 - nothing is looked for before something is wanted
        if wire is not None and wanted.stage == "accepted" and wire.has_ended:
            # Nothing was chosen, so the other side may wait for another one.
            self.wire, wire = wire, None
            self._hang_up()
        if wire is not None:
            self._go_on(wire)
        elif wanted.stage == "landed" or (wanted.stage == "going" and not wanted.reach.resumes):
            self._in_thread(self.cargo.left_behind, wanted, "the process was stopped")
        else:
            self._begin()

    def _go_on(self, wire: Wire) -> None:
        self.wire = wire
        assert self.wanted is not None  # noqa: S101 - nothing is found before something is wanted
        if self.wanted.stage == "accepted":
            chosen = self.session.report("chosen", ROUTE)
            chosen.addCallback(lambda _: self._carry(wire)).addErrback(self._failed)
        else:
            self._carry(wire)

    def stop(self) -> None:
        """Let go of everything."""
        self._stop.set()
        self._calm()
        if self.wire is not None:
            if isinstance(self.wire, KeptWire) and self._failed_flow is None:
                self.wire.leave()
            else:
                self.wire.interrupt()
        if self._turn is not None:
            self._turn.cancel()
        if not self._threads:
            self._hang_up()
        self._drop_contest()

    def clear(self, details: Any, *, failed: bool) -> None:
        """Let go of everything, and remove it."""
        self.wanted, self._failed_flow = details, failed
        self.stop()
        if not self._threads:
            self._clear()

    def _clear(self) -> None:
        self._keeping.drop()
        done = self.session.in_thread(self.cargo.clear, self.wanted, self._failed_flow)
        done.addErrback(lambda failure: _log.failure("a transfer could not be removed", failure))

    # Finding a connection.

    @property
    def _reach(self) -> Reach:
        assert self.wanted is not None  # noqa: S101 - nothing begins before something is wanted
        return self.wanted.reach

    def _begin(self) -> None:
        reach = self._reach
        side = derive(reach.key, SIDE + self.cargo.role, 8).hex()
        relays = [hints.address(relay) for relay in reach.relays]
        contest = Contest(
            network_of(self.session.reactor, self.session.tor),
            TransitKeys(reach.key),
            self.cargo.role,
            self,
            side=side,
            relays=relays,
            listen=reach.listen,
        )
        self._contest, self._dialled = contest, None
        listening = contest.listen(reach.port)
        if reach.port and reach.resumes:
            # Somebody else has it by now. A stock client will hear of no other port, but may still
            # be dialled, or met at a relay.
            listening.addCallback(lambda port: port or contest.listen())
        listening.addCallback(self._listens, contest).addErrback(self._failed)

    def _listens(self, port: int | None, contest: Contest) -> Deferred[None] | None:
        if contest is not self._contest:
            return None
        where = {"port": port or 0, "hints": contest.hints()}
        if where == self._where:
            self._dial()
            return None
        self._where = where
        return self.session.report("listening", where).addCallback(lambda _: self._dial())

    def _dial(self) -> None:
        """Dial what the peer has said, once the receiver has accepted."""
        wanted, contest = self.wanted, self._contest
        if wanted is None or contest is None or wanted.stage == "reachable":
            return
        theirs = wanted.reach.theirs
        if self._dialled is None:
            self._limit()
        if theirs != self._dialled:
            self._dialled = theirs
            contest.dial(hints.parse(list(theirs)))

    def _limit(self) -> None:
        """A contest dials each address once. For another Holdfast, begin another one after it."""
        self._calm()
        if self._reach.resumes:
            seconds = max(self._pause, SHORTEST_CONTEST)
            self._timer = self.session.reactor.callLater(seconds, self._renew)
        else:
            self._timer = self.session.reactor.callLater(CONNECT_WITHIN, self._too_late)

    def _renew(self) -> None:
        self._timer = None
        self._next_pause()
        self._wait("the other side is away")
        # The next contest wants the same port.
        self._drop_contest().addCallback(lambda _: self._begin_again()).addErrback(self._failed)

    def ready(self, candidate: Candidate) -> None:
        """A connection could be used."""
        self._candidate = candidate
        self._choose()

    def _choose(self) -> None:
        if self._candidate is None or self.wanted is None or self.wanted.stage == "reachable":
            return
        candidate, self._candidate = self._candidate, None
        if candidate.is_lost:
            return  # the contest offers another, if there is one
        if self._reach.resumes:
            self._calm()
        self._waits = ""
        held = succeed(None)
        if not self._reach.resumes:
            held = self._keeping.hold(candidate, self._reach.key)
        held.addCallback(lambda _: self.session.report("chosen", candidate.describe))
        held.addCallback(lambda _: self._take(candidate)).addErrback(self._failed)

    def _take(self, candidate: Candidate) -> None:
        chosen = candidate.choose()
        chosen.addCallbacks(self._connected, self._not_chosen).addErrback(self._failed)

    def _not_chosen(self, failure: Failure) -> None:
        """It is not to be had after all. The contest offers the next, or is exhausted."""
        failure.trap(TransitError)
        self._keeping.drop()
        if self._reach.resumes and self._contest is not None:
            self._limit()

    def exhausted(self, reason: str) -> None:
        """There is no connection to be had."""
        self._not_connected(f"no connection to the other side: {reason}")

    def _too_late(self) -> None:
        self._timer = None
        self._not_connected(f"no connection to the other side within {CONNECT_WITHIN:g} seconds")

    def _not_connected(self, reason: str) -> None:
        self._drop_contest()
        if self._reach.resumes:
            self._again_later(reason)
        else:
            self._calm()
            self._leave_behind(reason)

    def _leave_behind(self, reason: str) -> None:
        """There will be no connection any more."""
        self._timer = None
        wanted = self.wanted
        if isinstance(wanted, Sending) and self._left > wanted.moved:
            wanted = evolve(wanted, moved=self._left)
        self._in_thread(self.cargo.left_behind, wanted, reason)

    # Using it.

    def _connected(self, link: Link) -> None:
        self._calm()
        try:
            self._carry(self._keeping.wire(link))
        except WireError:
            self._broke(Failure(Interrupted("the connection broke")))

    def _carry(self, wire: Wire) -> None:
        self.wire = wire
        line = Line(
            wire,
            self._reach.key,
            self._reach.resumes,
            self._stop,
            lambda moved: self.session.reactor.callFromThread(self._moved, moved),
            lambda reason: self.session.reactor.callFromThread(self._wait, reason),
            self.session.reactor.seconds,
            partial(HERE.throttle.take, stop=self._stop) if HERE.throttle else lambda _: None,
        )
        if self.cargo.role == "receiver":
            self._in_thread(self.cargo.carry, self.wanted, line)
        else:
            self._in_turn(line)

    def _in_turn(self, line: Line) -> None:
        """Send once there is a place."""
        turn = HERE.places.acquire()
        if not turn.called:
            self._turn = turn
            self.session.report("queued", ITS_TURN)
        done = turn.addCallback(self._has_place, line)
        done.addCallbacks(self._carried, self._broke).addErrback(self._failed)

    def _has_place(self, places: DeferredSemaphore, line: Line) -> Deferred[Any]:
        self._turn = None

        def leave(result: Any) -> Any:
            places.release()
            return result

        return self.in_thread(self.cargo.carry, self.wanted, line).addBoth(leave)

    def _in_thread(self, call: Callable[..., Any], *args: Any) -> None:
        done = self.in_thread(call, *args)
        done.addCallbacks(self._carried, self._broke).addErrback(self._failed)

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call `call` in a thread. What is removed at the end is removed behind it."""
        self._threads += 1
        return self.session.in_thread(call, *args).addBoth(self._out_of_thread)

    def _out_of_thread(self, result: Any) -> Any:
        self._threads -= 1
        if self._stop.is_set():
            self._hang_up()
            if self._failed_flow is not None:
                self._clear()
        return result

    def _moved(self, moved: int) -> None:
        if not self._stop.is_set():
            self._pause, self._waits = FIRST_PAUSE, ""
            self._left = moved
            self.session.report("moved", moved)

    def _carried(self, result: Any) -> None:
        if not self._stop.is_set():
            self.cargo.carried(self, result)

    def _broke(self, failure: Failure) -> None:
        self._hang_up()
        if self._stop.is_set():
            return
        if failure.check(MayHaveIt):
            self.session.report("unconfirmed", failure.getErrorMessage())
        elif failure.check(CannotGoOn):
            self.session.report("broken", failure.getErrorMessage())
        elif not failure.check(Interrupted):
            failure.raiseException()
        elif self._reach.resumes and not failure.check(Misbehaved):
            self._drop_contest()
            self._again_later(failure.getErrorMessage())
        else:
            self._drop_contest()
            self._timer = self.session.reactor.callLater(
                HEAR_WHY, self._leave_behind, failure.getErrorMessage()
            )

    def _again_later(self, reason: str) -> None:
        self._wait(reason)
        self._calm()
        self._timer = self.session.reactor.callLater(self._next_pause(), self._begin_again)

    def _wait(self, reason: str) -> None:
        """Say why it does not go on, unless that is said already."""
        if reason != self._waits and not self._stop.is_set():
            self._waits = reason
            self.session.report("waiting", reason)

    def _next_pause(self) -> float:
        pause = self._pause
        self._pause = min(LONGEST_PAUSE, 2 * pause)
        return pause

    def _begin_again(self) -> None:
        self._timer = None
        if not self._stop.is_set() and self._contest is None:
            self._begin()

    # Letting go.

    def hang_up(self) -> None:
        """Nothing more is to be carried, and that is durable: end the connection."""
        if not self._threads:
            self._hang_up()

    def _hang_up(self) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()
        if self._stop.is_set() and self._failed_flow is None:
            self._keeping.release()
        else:
            self._keeping.drop()

    def _drop_contest(self) -> Deferred[None]:
        """End it. The Deferred fires when its port is free."""
        contest, self._contest, self._candidate = self._contest, None, None
        stopped: Deferred[None] = succeed(None) if contest is None else contest.stop()
        return stopped.addErrback(self._failed)

    def _calm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _failed(self, failure: Failure) -> None:
        if not self._stop.is_set() and failure.value is not None:
            self.session.failed(failure.value)
