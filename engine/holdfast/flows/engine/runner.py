"""One flow while it runs: its wormhole, its own data, its tasks, and its journal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from holdfast.errors import WrongPasswordError
from holdfast.flows import document, requests
from holdfast.flows.engine.beside import Beside
from holdfast.flows.engine.host import FlowHost
from holdfast.flows.engine.loading import load
from holdfast.flows.engine.observing import Move
from holdfast.flows.engine.owner import RunnerOwner
from holdfast.flows.engine.verdict import SHREDDED, verdict_of
from holdfast.rendezvous.watch_frames import KEY, Wanted
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast_journal import CANCEL, FlowStatus, JournalError, Snapshot, TakenFlow

REOPENED: Final = "reopened"
"""The kind of the entry with which a new wormhole of a flow begins; it never changes."""

GRACE: Final = 600.0
"""Seconds that a flow whose peer is there may continue after its deadline."""


class FlowRunner:
    """Runs one flow from where its checkpoint left it; the delegate of its wormhole.

    Raises:
        BadCheckpoint, UnknownFlow, NeedsTor: the flow cannot be loaded here.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = (
        "__weakref__",
        "_beside",
        "_flow",
        "_is_cleared",
        "_journal",
        "_owner",
        "_stands",
        "_state",
        "heard_at",
        "host",
        "rested_at",
        "taken",
        "taken_at",
        "url",
        "well_at",
        "wormhole",
    )

    def __init__(self, taken: TakenFlow, owner: RunnerOwner) -> None:
        loaded = load(taken, tor=owner.options.tor is not None)
        self.taken = taken
        self._owner = owner
        self._journal = taken.journal
        self._flow = loaded.flow
        self._state = loaded.state
        self._stands = taken.status
        """Its status after the last entry."""
        self.taken_at = owner.clock.seconds()
        self.rested_at: float | None = None
        """When it was first seen to rest, by the reactor's clock."""
        self.well_at = self.taken_at
        """When its server had last answered all; or when it was taken."""
        self.url = loaded.wormhole.relay_url
        """Of its mailbox server."""
        self.wormhole = DelegatedWormhole(
            loaded.wormhole.relay_url,
            loaded.wormhole.exchange,
            self,
            self._journal,
            owner.connector,
            pending=loaded.wormhole.pending,
            heard_at=loaded.wormhole.heard_at,
            dilation=loaded.wormhole.dilation,
            options=evolve(
                owner.options,
                on_broken=self._broken,
                # If it failed recently, keep whatever else arrives together with the cause.
                careful=bool(taken.failures),
                kept=self._kept,
            ),
        )
        self.host = FlowHost(taken, self._flow, self._state, owner, self._entry)
        """What the flow asks."""
        self.host.wormhole = self.wormhole
        self._flow._host = self.host  # noqa: SLF001 - what authors must not touch
        self._beside: Beside | None = None
        """Its activity, if it ever wanted one."""
        self._is_cleared = False
        """Whether the flow has its verdict, and its activity was told so."""
        self.heard_at: float | None = None
        """When the exchange last moved, in seconds since the epoch; None if no peer has come."""
        self._moved(taken.updated_at)
        self._journal.attach(self._snapshot)
        self._journal.when_lost = self._lost

    # Its life.

    def start(self) -> None:
        """Begin the flow, or continue it."""
        if self.taken.checkpoint is None:
            self._entry("start", "flow: started", self._flow.started)
        elif self._state.reopening:
            self._entry(REOPENED, "flow: a new wormhole", self._reopened)
            # Its last wormhole may have been too short for a look.
            self.tick()
        if not self.host.is_over:
            with self._guarded():
                self.wormhole.start()
        if not self.host.is_over:
            with self._guarded():
                self._compare_activity()
        self.host.resume_tasks(self.taken.tasks)
        if self.taken.request is not None:
            self.heed(self.taken.request)

    def heed(self, request: str) -> None:
        """Do what an operator asks; asked again, it changes nothing. Others than ours are left."""
        if request == CANCEL:
            self.cancel()
            return
        deadline = requests.other_deadline(request)
        if deadline is None or self.host.is_over:
            return
        wanted = None if deadline == math.inf else deadline
        if wanted != self._state.deadline and not self._state.verdict:
            words = "operator: no deadline" if wanted is None else "operator: another deadline"
            self._entry("deadline", words, partial(self.host.expire_at, wanted))
        if not self.host.is_over:
            with self._guarded():
                self._journal.queue_outbound(self._owner.answered, self.taken.id, request)

    def cancel(self) -> None:
        """End the flow, and free what it holds on the server."""
        if not self._state.verdict and not self._is_leaving:
            self._entry(
                "cancel", "operator: cancel", partial(self._give_up, FlowStatus.CANCELLED, "")
            )

    def tick(self) -> None:
        """Do what is due by now."""
        now, state = self._owner.now(), self._state
        if state.verdict or self._is_leaving:
            return
        if state.deadline is not None and now >= state.deadline:
            met = self.wormhole.exchange.lifecycle.state == "happy"
            if not met or now >= state.deadline + GRACE:
                reason = "it was not collected before its deadline"
                expire = partial(self._give_up, FlowStatus.EXPIRED, reason)
                self._entry("timer", "timer: the deadline has passed", expire)
        over = bool(state.verdict) or self.host.is_over
        if state.wake_at is not None and now >= state.wake_at and not over:
            self._entry("timer", "timer: the flow is woken", self._woken)

    def _reopened(self) -> None:
        self._state.reopening = False
        self._flow.reopened()

    def _give_up(self, status: FlowStatus, reason: str) -> None:
        self._flow.giving_up()
        self.host.end_as(status, reason)

    def _woken(self) -> None:
        self._state.wake_at = None
        self._flow.woken()

    def abandon(self) -> None:
        """Stop running; the checkpoint is all that is left."""
        self.host.is_over = True
        if self._beside is not None:
            self._beside.stop()
        self.wormhole.abandon()
        self._owner.executor.forget(self.host)

    def leave(self) -> None:
        """Stop running because the process is asked to: tries that this cuts off do not count."""
        tasks = self._owner.executor.forget(self.host)
        if tasks:
            with self._guarded(), self._journal.process():
                for task in tasks:
                    self.host.task_stopped(task)
        if not self.host.is_over:
            self.abandon()

    def _entry(self, kind: str, heard: str, happens: Callable[[], object]) -> None:
        """Make one entry of the history, which is durable as a whole or not at all.

        If the flow was lost to another worker meanwhile, nothing happens.
        """
        with self._guarded(), self._journal.process():
            self._journal.record(kind, heard=heard, said=(), event=b"")
            happens()
            self.wormhole.settle()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """If anything raises inside, end this life of the flow: it was not saved."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever the flow's own code raised; it is reported
            self._broken(Failure())

    def _broken(self, failure: Failure) -> None:
        if not self.host.is_over:
            self.abandon()
            self._owner.broken(self, failure)

    def _lost(self, error: Exception) -> None:
        """A commit was refused: what is in memory here never happened."""
        self._broken(Failure(error))

    def _finished(self) -> None:
        self.abandon()
        self._owner.over(self)

    def _reopens(self) -> None:
        self.abandon()
        self._owner.reopens(self)

    @property
    def _is_leaving(self) -> bool:
        """Whether nothing may happen to it here any more."""
        return self.host.is_over or self._state.reopening

    # What decides whether it is parked (`holdfast.flows.engine.parking.Parkable`).

    @property
    def is_resting(self) -> bool:
        """Whether it waits for its peer or for a time, and for nothing else.

        Then nothing is lost if it is not run for a while.
        """
        if self.host.open_tasks or self._state.verdict or self._has_activity:
            return False
        return self.wormhole.is_resting and not self.wormhole.is_dilated

    @property
    def may_be_watched(self) -> bool:
        """Whether its server offers to watch mailboxes, by what it last said."""
        welcome = self.wormhole.exchange.welcome
        return welcome is not None and KEY in welcome

    @property
    def waits_at(self) -> Wanted | None:
        """At which side of which mailbox it waits, for which message; None if it does not rest.

        Nor does it as long as not everything is durable: what it has heard would be lost.
        """
        if not self.is_resting or not self._journal.is_settled:
            return None
        exchange = self.wormhole.exchange
        heard = self.wormhole.others_heard
        return Wanted(exchange.mailbox.data.mailbox, exchange.side, heard)

    @property
    def is_unanswered(self) -> bool:
        """Whether its server is not there, or owes it an answer."""
        if not self.wormhole.is_connected:
            return True
        asks = self.wormhole.exchange.code.is_in("wanted", "asked", "known")
        return asks and not self.wormhole.is_resting

    @property
    def is_busy(self) -> bool:
        """Whether it has work to do, or an end to bring about, and a connection for that."""
        if self.host.open_tasks or self._has_activity or self.wormhole.is_dilated:
            return True
        return bool(self._state.verdict) and self.wormhole.is_connected

    @property
    def due_at(self) -> float | None:
        """The next time, in seconds since the epoch, at which it has something to do by itself."""
        return min(
            (at for at in (self._state.wake_at, self._state.deadline) if at is not None),
            default=None,
        )

    # What the wormhole tells (it is the delegate).

    if not TYPE_CHECKING:  # or every name would be right

        def __getattr__(self, name: str) -> Any:
            """Hand these to the flow, which need not have them."""
            if name.startswith(("wormhole_got_", "wormhole_dilated", "wormhole_cannot_dilate")):
                return getattr(self._flow, name)
            raise AttributeError(name)

    def wormhole_closed(self, result: str | Exception) -> None:
        """The flow is over: as it decided, or as the wormhole ended."""
        if isinstance(result, WrongPasswordError):
            self._journal.queue_outbound(self._owner.observer.guessed_wrong, self.taken.kind)
        self.host.tell("wormhole_closed", result)
        if self._state.reopening:
            for task in self._owner.executor.forget(self.host):
                self.host.task_stopped(task)
            self._journal.queue_outbound(self._reopens)
            return
        if not self._state.verdict:
            sent = bool(self._state.published.get("sent"))
            self.host.decide(*verdict_of(result, sent=sent))
        self._journal.queue_outbound(self._finished)

    def _kept(self, numbers: Sequence[int]) -> Deferred[Mapping[int, bytes]]:
        """Read messages again that a snapshot has handed to the journal."""
        messages = self._journal.messages
        if messages is None:
            return fail(JournalError("this journal keeps no messages"))
        return self._owner.look_up(partial(messages.read, numbers))

    # What the journal asks.

    def _moved(self, at: float) -> None:
        # Noted, since it is asked of every flow at every look.
        self.heard_at = at if self.wormhole.exchange.has_met else None

    @property
    def _has_activity(self) -> bool:
        return self._beside is not None and self._beside.is_wanted

    def _compare_activity(self) -> None:
        if self._is_cleared:
            return
        wanted = self._flow.activity()
        if self._beside is None:
            if wanted is None:  # as almost always
                return
            self._beside = Beside(self.host, self._owner, self._entry, self._broken)
        if wanted is not None and self._state.verdict:
            self._is_cleared = True
            failed = self._state.verdict == FlowStatus.FAILED
            self._beside.clear(wanted, failed=failed)
        else:
            self._beside.compare(wanted)

    def _snapshot(self) -> Snapshot:
        self._moved(self._owner.now())
        self._compare_activity()
        for number, body in self.wormhole.take_shown():
            self._journal.keep_message(number, body)
        status = self._status()
        if status != self._stands:
            self._changes(status)
        finished = self.wormhole.exchange.ended and not self._state.reopening
        shred = finished and self._state.verdict in SHREDDED
        return Snapshot(
            status=status,
            checkpoint=b"" if shred and not self._journal.retain else self._checkpoint(),
            published=self._state.published,
            finished=finished,
            shred=shred,
        )

    def _checkpoint(self) -> bytes:
        self._state.data = document.data_of(self._flow)
        return self._state.to_bytes(self.wormhole.document())

    def _changes(self, status: str) -> None:
        """Note since when it stands so; whoever observes is told when that is durable."""
        now, since = self._owner.now(), self._state.since
        before, self._stands, self._state.since = self._stands, status, now
        stood = max(0.0, now - (self.taken.updated_at if since is None else since))
        move = Move(self.taken.kind, before, status, self._state.verdict, stood)
        self._journal.queue_outbound(self._owner.observer.moved, move)

    def _status(self) -> str:
        exchange = self.wormhole.exchange
        if exchange.ended:
            return FlowStatus.STARTING.value if self._state.reopening else self._state.verdict
        if not exchange.well or self._state.verdict:
            return FlowStatus.CLOSING.value
        if exchange.lifecycle.state == "happy":
            return FlowStatus.EXCHANGING.value
        code = exchange.code
        return (
            FlowStatus.WAITING.value
            if code.state == "known" and not code.data.untold
            else FlowStatus.STARTING.value
        )
