"""Carrying a file: find a connection to the peer, and move the bytes in a thread.

What both roles share. A role's `Cargo` does the work in the thread, and knows what its end means.

With a stock client there is one connection. With another Holdfast there may be any number, one
after the other, until the flow is over: this part waits a little longer after each that broke.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.crypto import derive
from holdfast.flows.activities import Session
from holdfast.flows.shipped.cargo import CannotGoOn, Cargo, Interrupted, Line, MayHaveIt, Misbehaved
from holdfast.flows.shipped.keeping import ROUTE, Keeping
from holdfast.flows.shipped.pauses import Pauses
from holdfast.flows.shipped.sharing import HERE
from holdfast.flows.shipped.told import Told
from holdfast.flows.shipped.transferring import Reach, Receiving, Sending
from holdfast.flows.shipped.working import TransferThread
from holdfast.transit import hints, network_of
from holdfast.transit.contest import Candidate, Contest, Link
from holdfast.transit.errors import TransitError, WireError
from holdfast.transit.kept_wire import KeptWire
from holdfast.transit.keys import TransitKeys
from holdfast.transit.wire import Wire

CONNECT_WITHIN: Final = 120.0
"""Seconds after the answer in which a connection to a stock client must be there; as long as they
try themselves."""

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
    _pauses: Pauses = field(init=False)
    _told: Told = field(init=False)
    _thread: TransferThread = field(init=False)
    _failed_flow: bool | None = field(default=None, init=False)
    """Once the flow is over: whether it failed."""
    _keeping: Keeping = field(init=False)
    """What becomes of a connection when this process dies."""

    def __attrs_post_init__(self) -> None:
        self._pauses = Pauses(self.session.reactor)
        self._told = Told(self.session)
        self._thread = TransferThread(self.session, self._idle)
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
        if self._thread.stops:
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
        self._thread.end()
        self._pauses.calm()
        if self.wire is not None:
            if isinstance(self.wire, KeptWire) and self._failed_flow is None:
                self.wire.leave()
            else:
                self.wire.interrupt()
        self._thread.leave_turn()
        if not self._thread.is_under_way:
            self._hang_up()
        self._drop_contest()

    def clear(self, details: Any, *, failed: bool) -> None:
        """Let go of everything, and remove it."""
        self.wanted, self._failed_flow = details, failed
        self.stop()
        if not self._thread.is_under_way:
            self._clear()

    def _idle(self) -> None:
        """The last thread has ended: what is removed at the end is removed behind it."""
        self._hang_up()
        if self._failed_flow is not None:
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
        told = self._told.listens({"port": port or 0, "hints": contest.hints()})
        return told.addCallback(lambda _: self._dial())

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
        if self._reach.resumes:
            self._pauses.after(max(self._pauses.current, SHORTEST_CONTEST), self._renew)
        else:
            self._pauses.after(CONNECT_WITHIN, self._too_late)

    def _renew(self) -> None:
        self._pauses.next()
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
            self._pauses.calm()
        self._told.goes_on()
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
        self._not_connected(f"no connection to the other side within {CONNECT_WITHIN:g} seconds")

    def _not_connected(self, reason: str) -> None:
        self._drop_contest()
        if self._reach.resumes:
            self._again_later(reason)
        else:
            self._pauses.calm()
            self._leave_behind(reason)

    def _leave_behind(self, reason: str) -> None:
        """There will be no connection any more."""
        wanted = self.wanted
        if isinstance(wanted, Sending) and self._told.moved > wanted.moved:
            wanted = evolve(wanted, moved=self._told.moved)
        self._in_thread(self.cargo.left_behind, wanted, reason)

    # Using it.

    def _connected(self, link: Link) -> None:
        self._pauses.calm()
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
            self._thread.stop,
            lambda moved: self.session.reactor.callFromThread(self._moved, moved),
            lambda reason: self.session.reactor.callFromThread(self._wait, reason),
            self.session.reactor.seconds,
            partial(HERE.throttle.take, stop=self._thread.stop)
            if HERE.throttle
            else lambda _: None,
        )
        if self.cargo.role == "receiver":
            carried = self._thread.in_thread(self.cargo.carry, self.wanted, line)
        else:
            carried = self._thread.in_turn(self.cargo.carry, self.wanted, line)
        carried.addCallbacks(self._carried, self._broke).addErrback(self._failed)

    def _in_thread(self, call: Callable[..., Any], *args: Any) -> None:
        done = self._thread.in_thread(call, *args)
        done.addCallbacks(self._carried, self._broke).addErrback(self._failed)

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call `call` in a thread; the Deferred has its result."""
        return self._thread.in_thread(call, *args)

    def _moved(self, moved: int) -> None:
        if not self._thread.stops:
            self._pauses.shorten()
            self._told.moves(moved)

    def _carried(self, result: Any) -> None:
        if not self._thread.stops:
            self.cargo.carried(self, result)

    def _broke(self, failure: Failure) -> None:
        self._hang_up()
        if self._thread.stops:
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
            self._pauses.after(HEAR_WHY, self._leave_behind, failure.getErrorMessage())

    def _again_later(self, reason: str) -> None:
        self._wait(reason)
        self._pauses.after(self._pauses.next(), self._begin_again)

    def _wait(self, reason: str) -> None:
        """Say why it does not go on."""
        if not self._thread.stops:
            self._told.waits(reason)

    def _begin_again(self) -> None:
        if not self._thread.stops and self._contest is None:
            self._begin()

    # Letting go.

    def hang_up(self) -> None:
        """Nothing more is to be carried, and that is durable: end the connection."""
        if not self._thread.is_under_way:
            self._hang_up()

    def _hang_up(self) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()
        if self._thread.stops and self._failed_flow is None:
            self._keeping.release()
        else:
            self._keeping.drop()

    def _drop_contest(self) -> Deferred[None]:
        """End it. The Deferred fires when its port is free."""
        contest, self._contest, self._candidate = self._contest, None, None
        stopped: Deferred[None] = succeed(None) if contest is None else contest.stop()
        return stopped.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if not self._thread.stops and failure.value is not None:
            self.session.failed(failure.value)
