"""Mutants of flows and their tasks."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve
from sqlalchemy import delete
from twisted.internet.defer import maybeDeferred

from holdfast.errors import WrongPasswordError
from holdfast.flows import document
from holdfast.flows.engine import host, runner
from holdfast.flows.engine.aside import set_aside
from holdfast.flows.engine.detached import Detached
from holdfast.flows.engine.detaching import detached_number, key_of
from holdfast.flows.engine.host import FlowHost
from holdfast.flows.engine.runner import FlowRunner
from holdfast.flows.engine.taking import Taking
from holdfast.flows.shipped.coding import Coded
from holdfast.flows.shipped.provision import HandOver
from holdfast.flows.shipped.verifying import SendTextVerified
from holdfast.flows.tasks import Call, kind_of, method_name
from holdfast_journal import FlowStatus
from holdfast_journal.commits.statements import Prepared
from holdfast_journal.store.schema import tasks
from tests.simulation.mutants.mutant import Patches, mutant


@mutant("a task is begun before its commit", "it is done for an event that never happened")
def task_before_commit(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def perform(self: Any, task: str, arguments: Any) -> None:
            journal, self._journal = self._journal, _AtOnce(self._journal)
            try:
                real(self, task, arguments)
            finally:
                self._journal = journal

        return perform

    patches.wrap(FlowHost, "perform", make)
    task_without_lease(patches)


class _AtOnce:
    """A journal that does at once what it should do after the commit."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def queue_outbound(self, call: Any, *args: Any, **options: Any) -> None:
        call(*args, **options)


@mutant(
    "a task begins without asking whose the flow is",
    "two workers do the same work at once",
    trouble={"pause behind a task": 0.5, "task failed": 0.5, "seconds": 600.0},
    kinds=("mint",),
)
def task_without_lease(patches: Patches) -> None:
    patches.wrap(FlowHost, "release", lambda real: lambda self, call: call())
    patches.wrap(FlowHost, "task_begins", lambda real: lambda self, task, call: call())


@mutant("the idempotency key changes between tries", "the same work is done twice")
def key_changes_between_tries(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def submit(self: Any, task: Any, **options: Any) -> None:
            real(self, evolve(task, key=f"{task.attempts:02}{task.key[2:]}"), **options)

        return submit

    patches.wrap(FlowHost, "_submit", make)


@mutant(
    "a task's result is told after the task is crossed off",
    "a crash loses the result",
    within=100,
    trouble={"death after COMMIT": 0.3},
    kinds=("mint",),
)
def result_after_the_task(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def task_done(self: Any, task: Any, result: Any) -> None:
            crossed_off = partial(self._finish_task, task)
            self._entry("task", f"task {task.name}: done", crossed_off)
            self._owner.clock.callLater(0.1, tell, self, task, result)

        def tell(self: Any, task: Any, result: Any) -> None:
            if not self.is_over:
                told = partial(self.tell, f"{method_name(task.name)}_done", result)
                self._entry("task", f"task {task.name}: told", told)

        return task_done

    patches.wrap(FlowHost, "task_done", make)


@mutant(
    "open tasks are forgotten at a restart",
    "a flow waits for ever",
    trouble={"death after COMMIT": 0.05, "task failed": 0.4},
    kinds=("mint",),
)
def tasks_forgotten(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def start(self: Any) -> None:
            self.taken = evolve(self.taken, tasks=())
            real(self)

        return start

    patches.wrap(FlowRunner, "start", make)


@mutant(
    "timers are forgotten at a restart",
    "a flow never expires",
    trouble={"death": 12.0},
    kinds=("timer",),
    peers=("nobody",),
)
def timer_forgotten(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def from_bytes(cls: Any, data: bytes) -> Any:
            return evolve(real(cls, data), wake_at=None, deadline=None)

        return from_bytes

    patches.wrap(document.Checkpoint, "from_bytes", make)


@mutant(
    "a flow whose peer had a wrong code is declared done",
    "nobody learns that it failed",
    peers=("mistypes",),
)
def wrong_code_is_done(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def verdict(result: Any, *, sent: bool) -> Any:
            wrong = isinstance(result, WrongPasswordError)
            return (FlowStatus.DONE, "") if wrong else real(result, sent=sent)

        return verdict

    patches.wrap(runner, "verdict_of", make)


@mutant(
    "a wrong guess is not counted",
    "a code can be guessed at for ever",
    kinds=("guessed",),
    peers=("guesses",),
)
def guess_not_counted(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def wormhole_closed(self: Any, result: Any) -> None:
            counted = self.coding.wrong
            real(self, result)
            self.coding.wrong = counted

        return wormhole_closed

    patches.wrap(Coded, "wormhole_closed", make)


@mutant(
    "the count of wrong guesses begins anew with each wormhole",
    "a code can be guessed at for ever",
    kinds=("guessed",),
    peers=("guesses",),
)
def guesses_forgotten(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def reopened(self: Any) -> None:
            real(self)
            self.coding.wrong = 0

        return reopened

    patches.wrap(Coded, "reopened", make)


@mutant(
    "a flow is done before the peer has confirmed",
    "a secret that nobody got is shredded",
    peers=("vanishes",),
)
def done_before_confirmed(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def hand_over(self: Any, secret: str) -> None:
            real(self, secret)
            self.finish()

        return hand_over

    patches.wrap(HandOver, "hand_over", make)


@mutant(
    "a flow that cannot be loaded is set aside",
    "a bad release, or a misjudged worker, ends everything that waits",
    trouble={"bad release": 0.3},
)
def unloaded_is_failed(patches: Patches) -> None:
    def make(_: Any) -> Any:
        return lambda self, taken, failure: set_aside(
            taken, "it cannot be loaded", self._owner.now()
        )

    patches.wrap(Taking, "_cannot_load", make)


@mutant(
    "tries are counted when they end",
    "a task that ends its process is tried for ever",
    trouble={"death inside a try": 0.9, "seconds": 600.0},
    kinds=("mint",),
)
def tries_counted_when_they_end(patches: Patches) -> None:
    patches.wrap(host, "asked", lambda real: lambda task: task)
    patches.wrap(
        FlowHost,
        "task_begins",
        lambda real: lambda self, task, call: self._journal.queue_outbound(call),
    )


@mutant(
    "a secret is handed over before the verifiers were compared",
    "whoever has guessed the code has it",
    kinds=("compared",),
    trouble={"task failed": 0.0, "death inside a try": 0.0},
)
def handed_over_unseen(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def wormhole_got_versions(self: Any, versions: Any) -> None:
            real(self, versions)
            self.go_on()

        return wormhole_got_versions

    patches.wrap(SendTextVerified, "wormhole_got_versions", make)


@mutant(
    "a hook is told before the commit of its event",
    "somebody is told of what never happened",
    trouble={"death before COMMIT": 0.05},
    kinds=("told",),
)
def told_before_commit(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def perform_detached(self: Any, name: str, arguments: Any) -> None:
            real(self, name, arguments)
            number = detached_number(self.taken.attempt, self._state.detached)
            kind = kind_of(name)
            if kind is not None:
                call = Call(arguments, key_of(self.taken, number), self._owner.clock)
                maybeDeferred(kind.run, call).addErrback(lambda _: None)

        return perform_detached

    patches.wrap(FlowHost, "perform_detached", make)


@mutant(
    "a hook is told under another key at each try",
    "a receiver does the same twice",
    trouble={"task failed": 0.5},
    kinds=("told",),
)
def told_under_another_key(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def begin(self: Any, task: Any) -> None:
            real(self, evolve(task, key=f"{task.attempts:02}{task.key[2:]}"))

        return begin

    patches.wrap(Detached, "_begin", make)


@mutant(
    "a hook is forgotten with its flow",
    "nobody is told of the end",
    kinds=("told",),
    trouble={"task failed": 0.8},
)
def told_no_more_at_the_end(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def write(self: Any, connection: Any) -> None:
            real(self, connection)
            connection.execute(delete(tasks).where(tasks.c.flow_id.in_(self.over)))

        return write

    patches.wrap(Prepared, "write", make)
