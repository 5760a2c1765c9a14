"""`FlowJournal`: the journal that one flow writes, under one epoch."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from attrs import define, field
from sqlalchemy import Executable

from holdfast_journal.commits import (
    AddTask,
    Commit,
    DeferTask,
    Entry,
    FinishTask,
    Lease,
    Parameters,
    Statement,
    TaskChange,
    published_json,
)
from holdfast_journal.errors import JournalError
from holdfast_journal.interface import Call, History, IJournal
from holdfast_journal.records import Snapshot, Task
from holdfast_journal.writer import Writer


@define
class _Block:
    """What the open `process()` block has gathered."""

    depth: int = 0
    entries: list[Entry] = field(factory=list)
    tasks: list[TaskChange] = field(factory=list)
    statements: list[Statement] = field(factory=list)
    calls: list[Call] = field(factory=list)

    @property
    def writes(self) -> bool:
        return bool(self.entries or self.tasks or self.statements)


@define(eq=False)
class FlowJournal:
    """`IJournal` and `History` for one flow. Not for use from several threads.

    What is recorded inside one `process()` block is one atomic commit, together with the snapshot
    of the flow that `attach`ed callable gives at the end of the block. The queued calls run once
    that commit is durable: at once in an inline journal, later from the reactor otherwise.

    An exception inside the block drops everything gathered in it. The flow's objects are then
    ahead of what is durable: load them again before the next block.
    """

    _lease: Lease
    _seq: int
    """The flow's seq after everything submitted so far."""
    _writer: Writer
    _clock: Callable[[], float]
    _gone: Callable[[], None]
    """Called when the flow is finished or lost, so that it may be taken again."""
    when_lost: Callable[[Exception], object] | None = None
    """Called once, when a commit was refused (`Fenced`: somebody else has the flow) or failed for
    good (`CommitFailed`). Nothing of that commit or of a later one is released, and `process()`
    raises the same error from then on."""
    _snapshot: Callable[[], Snapshot] | None = None
    _finished_at: float | None = None
    _block: _Block = field(factory=_Block, init=False, repr=False)

    def attach(self, snapshot: Callable[[], Snapshot]) -> None:
        """Say how to get the flow's state; called once at the end of a block that writes."""
        self._snapshot = snapshot

    @contextmanager
    def process(self) -> Iterator[None]:
        """Surround the handling of one event; see `IJournal.process`.

        Raises what `when_lost` was told, if the flow is lost, and JournalStopped.
        """
        if self._lease.lost is not None:
            raise self._lease.lost
        block = self._block
        block.depth += 1
        try:
            yield
            commit = self._commit(block) if block.depth == 1 else None
        except BaseException:
            if block.depth == 1:
                self._block = _Block()
            raise
        finally:
            block.depth -= 1
        if commit is not None:
            self._block = _Block()
            if commit.writes or commit.calls:
                # First the seq: an inline writer runs the calls here, and they may process events.
                self._seq = commit.seq
                self._writer.submit(commit)

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `fn` after the commit; see `IJournal.queue_outbound`."""
        with self.process():
            self._block.calls.append(partial(fn, *args, **kwargs))

    def record(self, kind: str, *, heard: str, said: Sequence[str], event: bytes) -> None:
        """Add an entry; see `History.record`. Raises JournalError outside a block."""
        block = self._open()
        seq = self._seq + len(block.entries) + 1
        text = json.dumps(list(said), ensure_ascii=False)
        block.entries.append(Entry(seq, self._clock(), kind, heard, text, bytes(event)))

    def execute(self, statement: Executable, parameters: Parameters = None) -> None:
        """Execute the application's own statement in the same transaction.

        If the database refuses it, the flow is lost. Raises JournalError outside a block.
        """
        self._open().statements.append(Statement(statement, parameters))

    def add_task(self, number: int, name: str, arguments: bytes, key: str, due_at: float) -> None:
        """Remember a task; `number` is new in this flow. Raises JournalError outside a block."""
        self._open().tasks.append(AddTask(Task(number, name, arguments, key, due_at)))

    def finish_task(self, number: int) -> None:
        """Forget a task. Raises JournalError outside a block."""
        self._open().tasks.append(FinishTask(number))

    def defer_task(self, number: int, due_at: float, attempts: int, error: str) -> None:
        """Remember that a task is to be tried again. Raises JournalError outside a block."""
        self._open().tasks.append(DeferTask(number, due_at, attempts, error))

    def _open(self) -> _Block:
        if not self._block.depth:
            raise JournalError("this belongs inside a process() block")
        return self._block

    def _commit(self, block: _Block) -> Commit:
        now = self._clock()
        commit = Commit(
            self._lease, self._seq, self._seq, now, calls=block.calls, refused=self._refused
        )
        if not block.writes:
            return commit
        if self._snapshot is None:
            raise JournalError("attach() a snapshot before the first event")
        snapshot = self._snapshot()
        if not snapshot.finished:
            self._finished_at = None
        elif self._finished_at is None:
            self._finished_at = now
            commit.calls = [*block.calls, self._gone]
        # A change without an entry takes a seq too: every commit moves the fence.
        commit.seq = self._seq + max(1, len(block.entries))
        commit.snapshot = snapshot
        commit.published = published_json(snapshot.published)
        commit.finished_at = self._finished_at
        commit.entries, commit.tasks = block.entries, block.tasks
        commit.statements = block.statements
        return commit

    def _refused(self, error: Exception) -> None:
        if self._lease.lost is not None:
            return
        self._lease.lost = error
        self._gone()
        if self.when_lost is None:
            raise error
        self.when_lost(error)


def _is_a_journal(journal: FlowJournal) -> tuple[IJournal, History]:
    return journal, journal
