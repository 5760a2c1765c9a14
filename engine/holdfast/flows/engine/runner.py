"""One flow while it runs: its wormhole, its own data, its tasks, and its journal."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from holdfast.core import checkpoint as wormhole_checkpoint
from holdfast.core.exchange import Exchange
from holdfast.flows import document
from holdfast.flows.engine.executor import Executor, asked
from holdfast.flows.engine.verdict import SHREDDED, verdict_of
from holdfast.flows.tasks import method_name
from holdfast.shell.contact import MakesConnector
from holdfast.shell.patience import Clock
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.status import Status
from holdfast.timing import DebugTiming
from holdfast_journal import JournalError, Snapshot, TakenFlow, Task

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from holdfast_journal import Parameters

GRACE: Final = 600.0
"""Seconds that a flow whose other side is there may go on after its deadline."""


class Owner(Protocol):
    """What the runner needs of the engine."""

    connector: MakesConnector
    executor: Executor
    timing: DebugTiming | None

    @property
    def clock(self) -> Clock:
        """Twisted's reactor."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def over(self, runner: FlowRunner) -> None:
        """The flow's last entry is durable."""
        ...

    def broken(self, runner: FlowRunner, failure: Failure) -> None:
        """The flow's own code raised; its last checkpoint stands."""
        ...

    def status(self, status: Status) -> None:
        """A connection has news."""
        ...

    def look_up(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Call `call`, which asks the database, where that keeps nobody waiting."""
        ...


class FlowRunner:
    """Runs one flow from where its checkpoint left it; the delegate of its wormhole.

    Raises:
        BadCheckpoint, UnknownFlow: the flow cannot be loaded here.
    """

    def __init__(self, taken: TakenFlow, owner: Owner) -> None:
        self.taken = taken
        self._owner = owner
        self._journal = taken.journal
        self._over = False
        self.taken_at = owner.clock.seconds()
        self._open_tasks = {task.number for task in taken.tasks}
        if taken.checkpoint is None:
            params = document.Params.from_bytes(taken.params)
            self._flow = document.begin(taken.kind, params.params)
            exchange = Exchange(params.appid, os.urandom(5).hex())
            saved = wormhole_checkpoint.Saved(params.relay, exchange, ())
            self._state = document.Checkpoint(data={}, wormhole={}, deadline=params.deadline)
        else:
            self._state = document.Checkpoint.from_bytes(taken.checkpoint)
            self._flow = document.restore(taken.kind, self._state.data)
            saved = wormhole_checkpoint.load(self._state.wormhole)
            self._state.wormhole = {}  # from here on the wormhole has it
        self.url = saved.relay_url
        """Of its mailbox server."""
        self.rested_at: float | None = None
        """When it was first seen to rest, by the reactor's clock."""
        self.well_at = self.taken_at
        """When its server had last answered all; or when it was taken."""
        self._flow._host = self
        self.wormhole = DelegatedWormhole(
            saved.relay_url,
            saved.exchange,
            self,
            self._journal,
            owner.connector,
            pending=saved.pending,
            heard_at=saved.heard_at,
            now=owner.now,
            on_status_update=owner.status,
            on_broken=self._broken,
            clock=owner.clock,
            timing=owner.timing,
            # Where it failed lately, whatever else comes together with that is to be kept.
            careful=bool(taken.failures),
            # What a flow is told it shows, and people pass it on.
            discreet=True,
            kept=self._kept,
        )
        self.heard_at: float | None = None
        """When an exchange last went on, in seconds since the epoch; None if nobody has come."""
        self._moved(taken.updated_at)
        self._journal.attach(self._snapshot)
        self._journal.when_lost = self._lost

    def start(self) -> None:
        """Begin the flow, or go on with it."""
        if self.taken.checkpoint is None:
            self._guarded(self._begin)
        self._guarded(self.wormhole.start)
        for task in self.taken.tasks:
            self._submit(task)
        if self.taken.request == "cancel":
            self.cancel()

    def cancel(self) -> None:
        """End the flow, and free what it holds on the server."""

        def cancel() -> None:
            with self._journal.process():
                self._record("cancel", "operator: cancel")
                self.settle("cancelled", "")

        if not self._state.verdict:
            self._guarded(cancel)

    @property
    def is_resting(self) -> bool:
        """Whether it waits for its peer or for a time, and for nothing else.

        Then nothing is lost if it is not run for a while.
        """
        return not self._open_tasks and not self._state.verdict and self.wormhole.is_resting

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
        if self._open_tasks:
            return True
        return bool(self._state.verdict) and self.wormhole.is_connected

    @property
    def due_at(self) -> float | None:
        """The next time, in seconds since the epoch, at which it has something to do by itself."""
        return min(
            (at for at in (self._state.wake_at, self._state.deadline) if at is not None),
            default=None,
        )

    def tick(self) -> None:
        """Do what is due by now."""
        if self._state.verdict:
            return
        now, state = self.now(), self._state
        if state.deadline is not None and now >= state.deadline:
            met = self.wormhole.exchange.lifecycle.state == "happy"
            if not met or now >= state.deadline + GRACE:
                self._guarded(self._expire)
        if state.wake_at is not None and now >= state.wake_at and not state.verdict:
            self._guarded(self._wake)

    def abandon(self) -> None:
        """Stop running; the checkpoint is all that is left."""
        self._over = True
        self.wormhole.abandon()
        self._owner.executor.forget(self)

    def leave(self) -> None:
        """Stop running because the process is asked to: what it cuts off is none of the tries."""
        tasks = self._owner.executor.forget(self)

        def uncount() -> None:
            with self._journal.process():
                for task in tasks:
                    self._record("task", f"task {task.name}: stopped with its worker")
                    self._count(task)

        if tasks:
            self._guarded(uncount)
        if not self._over:
            self.abandon()

    # What the flow can ask (`holdfast.flows.base.Host`).

    def publish(self, values: dict[str, str | int | float | None]) -> None:
        """Show values to the operators."""
        self._state.published.update(values)

    def execute(self, statement: Executable, parameters: Parameters) -> None:
        """Execute a statement of the application's in the transaction of this entry."""
        self._journal.execute(statement, parameters)

    def perform(self, task: str, arguments: dict[str, Any]) -> None:
        """Run a task after the commit."""
        number = self._state.performed = self._state.performed + 1
        self._open_tasks.add(number)
        identity = f"{self.taken.uid}/{task}/{number}"
        made = asked(
            Task(
                number=number,
                name=task,
                arguments=json.dumps(arguments).encode(),
                key=hashlib.sha256(identity.encode()).hexdigest()[:32],
                due_at=self.now(),
            )
        )
        with self._journal.process():
            self._journal.add_task(
                made.number,
                made.name,
                made.arguments,
                made.key,
                made.due_at,
                made.attempts,
                made.error,
            )
            self._journal.queue_outbound(self._submit, made, counted=bool(made.attempts))

    def settle(self, status: str, reason: str) -> None:
        """Fix how the flow ends; the first word counts."""
        if self._state.verdict:
            return
        self._state.verdict, self._state.reason = status, reason
        if reason:
            self.publish({"reason": reason})
        self.wormhole.close()

    def wake_at(self, when: float | None) -> None:
        """Call the flow's `woken` then."""
        self._state.wake_at = None if when is None else float(when)

    def expire_at(self, when: float | None) -> None:
        """End the flow then."""
        self._state.deadline = None if when is None else float(when)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._owner.now()

    # What the wormhole tells (it is the delegate).

    def wormhole_got_welcome(self, welcome: dict[str, Any]) -> None:
        """See `holdfast.shell.wormhole.DelegatedWormhole`."""
        self._tell("wormhole_got_welcome", welcome)

    def wormhole_got_code(self, code: str) -> None:
        """See `holdfast.shell.wormhole.DelegatedWormhole`."""
        self._tell("wormhole_got_code", code)

    def wormhole_got_unverified_key(self, key: bytes) -> None:
        """See `holdfast.shell.wormhole.DelegatedWormhole`."""
        self._tell("wormhole_got_unverified_key", key)

    def wormhole_got_verifier(self, verifier: bytes) -> None:
        """See `holdfast.shell.wormhole.DelegatedWormhole`."""
        self._tell("wormhole_got_verifier", verifier)

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        """See `holdfast.shell.wormhole.DelegatedWormhole`."""
        self._tell("wormhole_got_versions", versions)

    def wormhole_got_message(self, message: bytes) -> None:
        """See `holdfast.shell.wormhole.DelegatedWormhole`."""
        self._tell("wormhole_got_message", message)

    def wormhole_closed(self, result: str | Exception) -> None:
        """The flow is over: as it decided, or as the wormhole ended."""
        self._tell("wormhole_closed", result)
        if not self._state.verdict:
            sent = bool(self._state.published.get("sent"))
            self._state.verdict, self._state.reason = verdict_of(result, sent=sent)
            if self._state.reason:
                self.publish({"reason": self._state.reason})
        self._journal.queue_outbound(self._finished)

    def _tell(self, name: str, argument: object) -> None:
        method = getattr(self._flow, name, None)
        if method is not None:
            method(argument)

    # What the executor tells.

    def release(self, call: Callable[[], object]) -> None:
        """Call `call` once nobody else can be running the flow."""
        self._journal.queue_outbound(call)

    def task_begins(self, task: Task, call: Callable[[], object]) -> None:
        """Call `call` once it is durable that this try begins."""

        def begins() -> None:
            with self._journal.process():
                self._record("task", f"task {task.name}: try {task.attempts} begins")
                self._count(task)
                self._journal.queue_outbound(call)

        self._guarded(begins)

    def task_done(self, task: Task, result: Any) -> None:
        """A task has a result."""

        def done() -> None:
            with self._journal.process():
                self._record("task", f"task {task.name}: done")
                self._finish_task(task)
                self._tell(f"{method_name(task.name)}_done", result)

        self._guarded(done)

    def task_deferred(self, task: Task, reason: str, due_at: float) -> None:
        """A task failed and will be tried again."""
        again = evolve(task, due_at=due_at, error=reason)

        def deferred() -> None:
            with self._journal.process():
                self._record("task", f"task {task.name}: {reason}; will be tried again")
                self._count(again)
                self._journal.queue_outbound(self._submit, again)

        self._guarded(deferred)

    def task_failed(self, task: Task, reason: str) -> None:
        """A task failed for good."""

        def failed() -> None:
            with self._journal.process():
                self._record("task", f"task {task.name}: {reason}; given up")
                self._finish_task(task)
                name = f"{method_name(task.name)}_failed"
                if hasattr(self._flow, name):
                    self._tell(name, reason)
                else:
                    self.settle("failed", f"{task.name}: {reason}")

        self._guarded(failed)

    # Inside.

    def _count(self, task: Task) -> None:
        self._journal.defer_task(task.number, task.due_at, task.attempts, task.error)

    def _finish_task(self, task: Task) -> None:
        self._journal.finish_task(task.number)
        self._open_tasks.discard(task.number)

    def _wake(self) -> None:
        with self._journal.process():
            self._record("timer", "timer: the flow is woken")
            self._state.wake_at = None
            self._flow.woken()

    def _expire(self) -> None:
        with self._journal.process():
            self._record("timer", "timer: the deadline has passed")
            self.settle("expired", "nobody collected it before its deadline")

    def _submit(self, task: Task, *, counted: bool = False) -> None:
        """Have `task` run, unless the flow was let go while its commit was under way."""
        if not self._over:
            self._owner.executor.submit(self, task, counted=counted)

    def _begin(self) -> None:
        with self._journal.process():
            self._record("start", "flow: started")
            self._flow.started()

    def _record(self, kind: str, heard: str) -> None:
        self._journal.record(kind, heard=heard, said=(), event=b"")

    def _guarded(self, do: Callable[[], object]) -> None:
        if self._over:
            return
        try:
            do()
        except Exception:  # noqa: BLE001 - whatever the flow's own code raised; it is reported
            self._broken(Failure())

    def _broken(self, failure: Failure) -> None:
        if not self._over:
            self.abandon()
            self._owner.broken(self, failure)

    def _lost(self, error: Exception) -> None:
        """A commit was refused: what is in memory here never happened."""
        self._broken(Failure(error))

    def _finished(self) -> None:
        self.abandon()
        self._owner.over(self)

    def _kept(self, numbers: Sequence[int]) -> Deferred[Mapping[int, bytes]]:
        """Read messages again that a snapshot has handed to the journal."""
        messages = self._journal.messages
        if messages is None:
            return fail(JournalError("this journal keeps no messages"))
        return self._owner.look_up(partial(messages.read, numbers))

    def _moved(self, at: float) -> None:
        # Noted, since it is asked of every flow at every look.
        self.heard_at = at if self.wormhole.exchange.has_met else None

    def _snapshot(self) -> Snapshot:
        self._moved(self.now())
        for number, body in self.wormhole.take_shown():
            self._journal.keep_message(number, body)
        self._state.data = document.data_of(self._flow)
        finished = self.wormhole.exchange.ended
        return Snapshot(
            status=self._status(),
            checkpoint=self._state.to_bytes(self.wormhole.document()),
            published=self._state.published,
            finished=finished,
            shred=finished and self._state.verdict in SHREDDED,
        )

    def _status(self) -> str:
        exchange = self.wormhole.exchange
        if exchange.ended:
            return self._state.verdict
        if not exchange.well:
            return "closing"
        if exchange.lifecycle.state == "happy":
            return "exchanging"
        code = exchange.code
        return "waiting" if code.state == "known" and not code.data.untold else "starting"
