"""Mutants of the journal: commits, fences, leases and sealing."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch
from weakref import WeakSet

from attrs import evolve

from holdfast_journal.commits import statements
from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.flow import FlowJournal, LastState
from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.commits.statements import Prepared
from holdfast_journal.commits.threaded import ThreadedWriter
from holdfast_journal.ownership.held import Held
from holdfast_journal.ownership.running import Running
from holdfast_journal.workers.registration import Registration
from holdfast_journal.workers.renewing import Renewing
from tests.simulation.mutants.mutant import Patches, mutant

PAUSES = {"pause around a commit": 0.3, "seconds": 300.0}
"""Workers that stand still for longer than their leases."""


@mutant("effects are released before the commit", "a crash forgets what others have seen")
def released_before_commit(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def submit(self: Any, commit: Any) -> None:
            calls, commit.calls = commit.calls, []
            real(self, commit)
            for call in calls:
                self._releasing.run(call)

        return submit

    patches.wrap(ThreadedWriter, "submit", make)


@mutant(
    "effects are released although the commit failed",
    "others see what never happened",
    trouble={"refused": 0.05},
)
def released_although_refused(patches: Patches) -> None:
    patches.wrap(
        ThreadedWriter,
        "_durable",
        lambda real: lambda self, batch, lost, seconds: real(self, batch, {}, seconds),
    )


@mutant(
    "the application writes outside the transaction",
    "a crash has it written twice",
    trouble={"death before COMMIT": 0.05},
    kinds=("mint", "chat"),
)
def writes_outside_the_transaction(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def execute(self: Any, statement: Any, parameters: Any = None) -> None:
            self._block.open()
            with self._writer._database.transaction(writes=True) as connection:
                connection.execute(statement, parameters)

        return execute

    patches.wrap(FlowJournal, "execute", make)


@mutant(
    "a commit whose outcome is unknown is taken for failed",
    "it is lost, or made twice",
    trouble={"outcome unknown": 0.2},
)
def unknown_taken_for_failure(patches: Patches) -> None:
    patches.wrap(Prepared, "is_written", lambda real: lambda self, connection: False)


@mutant(
    "a commit whose outcome is unknown is taken for done",
    "others see what never happened",
    trouble={"outcome unknown": 0.2},
)
def unknown_taken_for_success(patches: Patches) -> None:
    patches.wrap(Committer, "_is_written", lambda real: lambda self, prepared: True)


def _unfenced(patches: Patches, fence: str) -> None:
    without = patches.text(statements, "_UPDATE", fence, "")

    def make(real: Any) -> Any:
        def broken(count: int, dialect: Any) -> str:
            with patch.object(statements, "_UPDATE", without()):
                return str(real.__wrapped__(count, dialect))

        return broken

    patches.wrap(statements, "_update_flows", make)


@mutant(
    "the epoch is not checked at a commit",
    "whoever lost a flow goes on writing it",
    trouble=PAUSES,
)
def epoch_not_checked(patches: Patches) -> None:
    _unfenced(patches, " AND flow.epoch = {epoch}")


@mutant(
    "nothing checks the seq at a commit",
    "a commit that is tried again is made twice",
    trouble={"outcome unknown": 0.4},
    kinds=("mint", "chat"),
)
def seq_not_checked(patches: Patches) -> None:
    _unfenced(patches, " AND flow.seq = {base}")
    patches.wrap(
        statements,
        "_add_entries",
        lambda real: lambda *args: real(*args).replace("INSERT INTO", "INSERT OR IGNORE INTO"),
    )
    unknown_taken_for_failure(patches)


@mutant(
    "the lease is not asked before a release",
    "a paused worker goes on with others' flows",
    trouble=PAUSES,
)
def lease_not_asked(patches: Patches) -> None:
    patches.wrap(Registration, "holds", lambda real: lambda self, now=None: True)


@mutant(
    "a worker whose lease was over keeps all flows",
    "two workers speak for one flow",
    trouble=PAUSES,
)
def lapse_not_followed(patches: Patches) -> None:
    patches.wrap(Running, "lapse", lambda real: lambda self: None)


@mutant("everybody else is taken for dead", "workers take each other's flows")
def others_taken_for_dead(patches: Patches) -> None:
    patches.wrap(Registration, "alive", lambda real: lambda self, ids, connection=None: set())


@mutant(
    "a fenced runner does not let go",
    "it holds a connection and hears a flow for ever",
    trouble=PAUSES,
)
def fenced_runner_stays(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def refused(self: Any, error: Exception) -> None:
            self._fence.lost = error

        return refused

    patches.wrap(FlowJournal, "refused", make)


@mutant("the secrets of a finished flow are kept", "whoever gets the database reads them")
def not_shredded(patches: Patches) -> None:
    patches.wrap(
        LastState,
        "next",
        lambda real: lambda self, snapshot, now: real(self, evolve(snapshot, shred=False), now),
    )


@mutant("what operators see is not sealed", "the codes stand in the database as they are")
def published_not_sealed(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def seal(self: Any, column: str, seq: int, value: bytes) -> bytes:
            return value if column == "published" else bytes(real(self, column, seq, value))

        return seal

    patches.wrap(LastState, "seal", make)


@mutant(
    "readers go on while the database does not answer",
    "memory fills with what is lost",
    trouble={"storage away": 10.0},
    kinds=("chat",),
)
def reader_not_paused(patches: Patches) -> None:
    patches.wrap(Pressure, "_tell", lambda real: lambda self, before: None)


@mutant(
    "the lease is renewed whatever the reactor does",
    "a worker that stands still keeps its flows from all others",
    trouble={"standstill": 3.0, "seconds": 600.0},
)
def lease_whatever_the_reactor_does(patches: Patches) -> None:
    patches.wrap(Renewing, "_moves", lambda real: lambda self, patience: True)


@mutant(
    "what is committed is not noticed once all was still",
    "what operators ask, and who has come, waits for ever",
    trouble={"watching": 1.0},
    kinds=("provision",),
    peers=("nobody",),
)
def stays_still(patches: Patches) -> None:
    found: WeakSet[Held] = WeakSet()

    def make(real: Any) -> Any:
        def is_still(self: Held, wanted: Any) -> bool:
            if real(self, wanted):
                found.add(self)
            return self in found

        return is_still

    patches.wrap(Held, "is_still", make)
