"""`FlowJournal`: the journal that one flow writes, under one epoch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from json.encoder import encode_basestring
from types import TracebackType

from attrs import define, field
from sqlalchemy import Executable

from holdfast_journal.commits.boundaries import Writer
from holdfast_journal.commits.messages import Messages
from holdfast_journal.commits.values import (
    AddTask,
    Commit,
    DeferTask,
    Entry,
    FinishTask,
    Lease,
    Parameters,
    Snapshot,
    State,
    Statement,
    Task,
    TaskChange,
)
from holdfast_journal.errors import JournalError
from holdfast_journal.interface import History, IJournal
from holdfast_journal.keys.sealing import published_json


@define
class _Surrounding:
    """The context manager of `process()`: as a class, since it is entered for every event."""

    _journal: "FlowJournal"

    def __enter__(self) -> None:
        self._journal._enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._journal._leave(kind is not None)


@define(eq=False)
class FlowJournal:
    """`IJournal` and `History` for one flow. Not for use from several threads.

    What is recorded inside one `process()` block is one atomic commit, together with the snapshot
    of the flow that the callable given to `attach` makes at the end of the block. The queued calls
    run once that commit is durable: at once in an inline journal, later from the reactor otherwise.

    An exception inside the block drops everything gathered in it. The flow's objects are then
    ahead of what is durable: load them again before the next block.
    """

    _lease: Lease
    _seq: int
    """The flow's seq after everything submitted so far."""
    _writer: Writer
    _clock: Callable[[], float]
    _gone: Callable[[int, "FlowJournal"], None]
    """Called when the flow is finished or lost, so that it may be taken again."""
    when_lost: Callable[[Exception], object] | None = None
    """Called once, with `Fenced` when somebody else has the flow, or with `CommitFailed` when a
    commit failed for good. Nothing of that commit or of a later one is released, and `process()`
    raises the same error from then on."""
    retain: float = 0.0
    """Seconds for which a flow that says `shred` can still be read; see `SqlJournal.retain`."""
    messages: Messages | None = None
    """Where what `keep_message` kept can be read again."""
    _snapshot: Callable[[], Snapshot] | None = None
    _finished_at: float | None = None
    _published: tuple[Mapping[str, object], bytes] | None = field(default=None, repr=False)
    """The published values as last committed, plain and sealed."""
    _told: bool = field(default=False, init=False)
    _depth: int = field(default=0, init=False)
    """Of `process()` blocks in one another."""
    _commit: Commit | None = field(default=None, init=False, repr=False)
    """What the open block has gathered; None outside."""
    _surrounding: _Surrounding = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._surrounding = _Surrounding(self)

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has the flow, or a commit failed for good."""
        return self._lease.lost is not None

    @property
    def epoch(self) -> int:
        """Under which it writes."""
        return self._lease.epoch

    def attach(self, snapshot: Callable[[], Snapshot]) -> None:
        """Say how to get the flow's state; called once at the end of a block that writes."""
        self._snapshot = snapshot

    def process(self) -> AbstractContextManager[None]:
        """Surround the handling of one event; see `IJournal.process`.

        Raises what `when_lost` was told, if the flow is lost, and JournalStopped.
        """
        return self._surrounding

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `fn` after the commit; see `IJournal.queue_outbound`."""
        call = partial(fn, *args, **kwargs)
        if self._commit is not None:
            self._commit.calls.append(call)
        else:
            with self.process():
                self._open().calls.append(call)

    def _enter(self) -> None:
        if self._lease.lost is not None:
            raise self._lease.lost
        if self._commit is None:
            self._commit = Commit(self._lease, self._seq, self._seq, self)
        self._depth += 1

    def _leave(self, failed: bool) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        commit = self._open()
        try:
            # Still inside: what the snapshot queues belongs to this event.
            if not failed:
                self._complete(commit)
        finally:
            self._depth = 0
            self._commit = None
        if not failed and (commit.calls or commit.state is not None):
            # First the seq: an inline writer runs the calls here, and they may process events.
            self._seq = commit.seq
            self._writer.submit(commit)

    def record(self, kind: str, *, heard: str, said: Sequence[str], event: bytes) -> None:
        """Add an entry; see `History.record`.

        Raises JournalError outside a block, and TypeError or UnicodeEncodeError for what cannot be
        sealed or written: later, in the writer's thread, that would be everybody's trouble.
        """
        if not isinstance(event, bytes):
            raise TypeError("an event is bytes")
        commit = self._open()
        seq = commit.base + len(commit.entries) + 1
        words = f"[{', '.join(map(encode_basestring, said))}]"  # a JSON list
        entry = Entry(seq, self._clock(), kind, heard, words, event)
        commit.entries = (*commit.entries, entry)
        commit.size += len(f"{heard}{words}".encode()) + len(event)

    def execute(self, statement: Executable, parameters: Parameters = None) -> None:
        """Execute the application's own statement in the same transaction.

        If the database refuses it, the flow is lost. Raises JournalError outside a block.
        """
        commit = self._open()
        commit.statements = (*commit.statements, Statement(statement, parameters))

    def add_task(
        self,
        number: int,
        name: str,
        arguments: bytes,
        key: str,
        due_at: float,
        attempts: int = 0,
        error: str = "",
    ) -> None:
        """Remember a task; `number` is new in this flow. Raises JournalError outside a block."""
        commit = self._open()
        sealed = self._seal("arguments", number, arguments)
        self._change(commit, AddTask(Task(number, name, sealed, key, due_at, attempts, error)))

    def finish_task(self, number: int) -> None:
        """Forget a task. Raises JournalError outside a block."""
        self._change(self._open(), FinishTask(number))

    def defer_task(self, number: int, due_at: float, attempts: int, error: str) -> None:
        """Remember how often a task was tried, and when it is to be tried again, if it is not done.

        Raises JournalError outside a block.
        """
        self._change(self._open(), DeferTask(number, due_at, attempts, error))

    def keep_message(self, number: int, body: bytes) -> None:
        """Keep a message apart from the checkpoint; `number` is new in this attempt.

        Raises JournalError outside a block.
        """
        commit = self._open()
        commit.messages = (*commit.messages, (number, body))
        commit.size += len(body)

    def _change(self, commit: Commit, change: TaskChange) -> None:
        commit.tasks = (*commit.tasks, change)

    def _open(self) -> Commit:
        if self._commit is None:
            raise JournalError("this belongs inside a process() block")
        return self._commit

    def _complete(self, commit: Commit) -> None:
        if not (commit.entries or commit.tasks or commit.statements):
            return
        if self._snapshot is None:
            raise JournalError("attach() a snapshot before the first event")
        snapshot = self._snapshot()
        if not commit.entries:
            # Every commit moves the fence, and every seq has its entry: a hole is always damage.
            self.record("change", heard="flow: changed", said=(), event=b"")
        commit.seq = commit.base + len(commit.entries)
        commit.at = self._clock()
        commit.state = state = self._state(snapshot, commit.at)
        commit.size += len(snapshot.checkpoint)
        if snapshot.finished and self._finished_at is None:
            commit.calls.append(self._leave_it)
        self._finished_at = state.finished_at

    def _state(self, snapshot: Snapshot, now: float) -> State:
        checkpoint = published = None
        shred_at = now + self.retain if snapshot.shred and self.retain > 0 else None
        shred = snapshot.shred and shred_at is None
        if not shred:
            checkpoint = snapshot.checkpoint
            if self._published is None or self._published[0] != snapshot.published:
                # Seldom. The copy keeps us from comparing a dictionary with itself.
                sealed = self._seal("published", 0, published_json(snapshot.published))
                self._published = dict(snapshot.published), sealed
            published = self._published[1]
        since = now if self._finished_at is None else self._finished_at
        finished_at = since if snapshot.finished else None
        return State(snapshot.status, finished_at, shred, shred_at, checkpoint, published)

    def _seal(self, column: str, seq: int, value: bytes) -> bytes:
        return self._lease.sealer.seal(column, seq, value)

    def _leave_it(self) -> None:
        self._gone(self._lease.id, self)

    def fence(self, error: Exception) -> None:
        """Let nothing more of this flow out. The one method that any thread may call.

        `refused` is to follow, in the thread that processes events.
        """
        self._lease.lost = error

    def refused(self, error: Exception) -> None:
        """Tell, once, that the flow is lost."""
        if self._told:
            return
        self._told = True
        self._lease.lost = error
        self._leave_it()
        if self.when_lost is not None:
            self.when_lost(error)
        elif self._snapshot is not None:
            raise error


def _is_a_journal(journal: FlowJournal) -> tuple[IJournal, History]:
    return journal, journal
