"""What a flow asks for while it runs, and what becomes of its tasks.

Everything here happens inside an entry of the flow's journal, and so is durable together with the
event that caused it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from attrs import evolve

from holdfast.flows import hooks
from holdfast.flows.base import Flow
from holdfast.flows.document import Checkpoint, Params
from holdfast.flows.engine.detaching import detach, detached_number
from holdfast.flows.engine.executor import asked
from holdfast.flows.engine.owner import RunnerOwner
from holdfast.flows.tasks import method_name
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast_journal import FlowStatus, TakenFlow, Task

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from holdfast_journal import Parameters


class FlowHost:
    """The host of one flow (`holdfast.flows.base.Host`), and the customer of the executor.

    Args:
        taken: the flow as it was taken.
        flow: its own fields and methods.
        state: what is saved beside them.
        owner: the engine.
        entry: makes an entry of the history, given its kind, what happened in words, and what to
            do in it; if that raises, this life of the flow ends.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = (
        "_entry",
        "_flow",
        "_journal",
        "_owner",
        "_state",
        "is_over",
        "open_tasks",
        "reopens_at",
        "taken",
        "wormhole",
    )

    wormhole: DelegatedWormhole
    """The flow's wormhole, which its runner makes."""

    def __init__(
        self,
        taken: TakenFlow,
        flow: Flow,
        state: Checkpoint,
        owner: RunnerOwner,
        entry: Callable[[str, str, Callable[[], object]], None],
    ) -> None:
        self.taken = taken
        self._journal = taken.journal
        self._flow = flow
        self._state = state
        self._owner = owner
        self._entry = entry
        self.open_tasks = {task.number for task in taken.tasks}
        self.reopens_at: float | None = None
        """When its new wormhole is to begin, in seconds since the epoch; None for at once."""
        self.is_over = False
        """Whether the flow does not run here any more."""

    # What the flow asks.

    def publish(self, values: dict[str, str | int | float | None]) -> None:
        """Show values to the operators."""
        code, before = values.get("code"), self._state.published.get("code")
        self._state.published.update(values)
        if isinstance(code, str) and code != before:
            self._tell("code", FlowStatus.WAITING, "", code)

    def execute(self, statement: Executable, parameters: Parameters) -> None:
        """Execute a statement of the application's in the transaction of this entry."""
        self._journal.execute(statement, parameters)

    def before_commit(self, call: Callable[..., object], args: tuple[object, ...]) -> None:
        """Call it in the thread that writes, before the transaction of this entry."""
        self._journal.before_commit(call, *args)

    def perform(self, task: str, arguments: dict[str, Any]) -> None:
        """Run a task after the commit."""
        number = self._state.performed = self._state.performed + 1
        self.open_tasks.add(number)
        identity = f"{self.taken.uid}/{task}/{number}"
        made = Task(
            number=number,
            name=task,
            arguments=json.dumps(arguments).encode(),
            key=hashlib.sha256(identity.encode()).hexdigest()[:32],
            due_at=self.now(),
        )
        leaves = self._state.reopening
        if not leaves:
            made = asked(made)
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
            self._journal.mention(f"task {task}: asked for")
            if not leaves:  # otherwise it is begun with the new wormhole
                self._journal.queue_outbound(self._submit, made, counted=bool(made.attempts))

    def perform_detached(self, task: str, arguments: dict[str, Any]) -> None:
        """Run a task after the commit, whatever becomes of the flow."""
        self._state.detached += 1
        number = detached_number(self.taken.attempt, self._state.detached)
        detach(self.taken, number, task, arguments, self.now())
        self._journal.queue_outbound(self._owner.detached)

    def tell_trouble(self, reason: str) -> None:
        """Tell whoever must know that something is wrong, though the flow goes on."""
        self._tell("trouble", FlowStatus.WAITING, reason)

    def end_as(self, status: FlowStatus, reason: str) -> None:
        """Give the verdict; the first one counts."""
        if not self._state.verdict:
            self.decide(status, reason)
            self.wormhole.close()

    def decide(self, status: FlowStatus, reason: str) -> None:
        """Give the verdict, while the wormhole ends by itself."""
        self._state.verdict, self._state.reason = status.value, reason
        if reason:
            self.publish({"reason": reason})
        event = hooks.event_of(status)
        if event is not None:
            self._tell(event, status, reason)

    def reopen(self, reason: str, after: float) -> None:
        """Go on with a new wormhole; see `Flow.reopen`."""
        if self.wormhole.exchange.is_proved:
            raise ValueError("a wormhole whose peer has proved the code is not followed by another")
        if not self._state.verdict:
            self._state.reopening = True
            self.reopens_at = self.now() + after if after else None
            heard = f"flow: {reason}; the code will be opened again"
            self._journal.record("reopening", heard=heard, said=(), event=b"")

    def wake_at(self, when: float | None) -> None:
        """Call the flow's `woken` then."""
        self._state.wake_at = None if when is None else float(when)

    def expire_at(self, when: float | None) -> None:
        """End the flow then."""
        self._state.deadline = None if when is None else float(when)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._owner.now()

    # What the executor tells (`holdfast.flows.engine.executor.Customer`).

    def release(self, call: Callable[[], object]) -> None:
        """Call `call` once no other worker can be running the flow."""
        self._journal.queue_outbound(call)

    def task_begins(self, task: Task, call: Callable[[], object]) -> None:
        """Call `call` once it is durable that this try begins."""

        def begin() -> None:
            self._count(task)
            self._journal.queue_outbound(call)

        self._entry("task", f"task {task.name}: try {task.attempts} begins", begin)

    def task_done(self, task: Task, result: Any) -> None:
        """A task has a result."""

        def finish() -> None:
            self._finish_task(task)
            self.tell(f"{method_name(task.name)}_done", result)

        self._entry("task", f"task {task.name}: done", finish)

    def task_deferred(self, task: Task, reason: str, due_at: float) -> None:
        """A task failed and will be tried again."""
        again = evolve(task, due_at=due_at, error=reason)

        def defer() -> None:
            self._count(again)
            self._journal.queue_outbound(self._submit, again)

        self._entry("task", f"task {task.name}: {reason}; will be tried again", defer)

    def task_failed(self, task: Task, reason: str) -> None:
        """A task failed for good."""

        def give_up() -> None:
            self._finish_task(task)
            name = f"{method_name(task.name)}_failed"
            if hasattr(self._flow, name):
                self.tell(name, reason)
            else:
                self.end_as(FlowStatus.FAILED, f"{task.name}: {reason}")

        self._entry("task", f"task {task.name}: {reason}; given up", give_up)

    # What the runner asks.

    def tell(self, name: str, argument: object) -> None:
        """Call the flow's method `name`, if it has one."""
        method = getattr(self._flow, name, None)
        if method is not None:
            method(argument)

    def resume_tasks(self, tasks: Iterable[Task]) -> None:
        """Have the tasks run that an earlier life has left."""
        for task in tasks:
            self._submit(task)

    def task_stopped(self, task: Task) -> None:
        """A try was cut off because this process ends, and does not count."""
        heard = f"task {task.name}: stopped with its worker"
        self._journal.record("task", heard=heard, said=(), event=b"")
        self._count(task)

    # Inside.

    def _tell(
        self, event: hooks.EventName, status: FlowStatus, reason: str, code: str | None = None
    ) -> None:
        words = Params.from_bytes(self.taken.params).hooks.get(event)
        if words:
            told = hooks.message(event, self.taken, status.shown, reason, self.now(), code)
            self.perform_detached(hooks.task_name(words, event), hooks.task_arguments(words, told))

    def _submit(self, task: Task, *, counted: bool = False) -> None:
        """Have `task` run, unless the flow was let go while its commit was under way."""
        if not self.is_over:
            self._owner.executor.submit(self, task, counted=counted)

    def _count(self, task: Task) -> None:
        self._journal.defer_task(task.number, task.due_at, task.attempts, task.error)

    def _finish_task(self, task: Task) -> None:
        self._journal.finish_task(task.number)
        self.open_tasks.discard(task.number)
