"""`FlowJournal`: the journal that one flow writes, under one epoch."""

import json
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
    Fence,
    FinishTask,
    Parameters,
    Snapshot,
    State,
    Statement,
    Task,
    TaskChange,
)
from holdfast_journal.errors import JournalError
from holdfast_journal.interface import History, IJournal
from holdfast_journal.keys.detached import seal_detached
from holdfast_journal.keys.sealing import published_json


@define(eq=False)
class _Block:
    """The context manager of `process()`: a class, for speed, since every event enters it."""

    _journal: "FlowJournal"
    _depth: int = field(default=0, init=False)
    """Of blocks in one another."""
    commit: Commit | None = field(default=None, init=False, repr=False)
    """What the open block has gathered; None outside."""

    def __enter__(self) -> None:
        journal = self._journal
        if journal._fence.lost is not None:
            raise journal._fence.lost
        if self.commit is None:
            self.commit = Commit(journal._fence, journal._seq, journal._seq, journal)
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        commit = self.open()
        try:
            # Still inside: what the snapshot queues belongs to this event.
            if kind is None:
                self._journal._complete(commit)
        finally:
            self._depth = 0
            self.commit = None
        if kind is None and (commit.calls or commit.state is not None):
            # First the seq: an inline writer runs the calls here, and they may process events.
            self._journal._seq = commit.seq
            self._journal._writer.submit(commit)

    def open(self) -> Commit:
        """What the block has gathered. Raises JournalError outside."""
        if self.commit is None:
            raise JournalError("this belongs inside a process() block")
        return self.commit


@define(eq=False)
class LastState:
    """What was last said of a flow, from which the next state of its row is made."""

    _fence: Fence
    retain: float = 0.0
    """Seconds for which a flow that says `shred` can still be read; see `SqlJournal.retain`."""
    finished_at: float | None = field(default=None, init=False)
    _published: tuple[Mapping[str, object], bytes] | None = field(
        default=None, init=False, repr=False
    )
    """The published values, plain and sealed."""

    def next(self, snapshot: Snapshot, now: float) -> State:
        """The state after an event that ended like this."""
        checkpoint = published = None
        shred_at = now + self.retain if snapshot.shred and self.retain > 0 else None
        shred = snapshot.shred and shred_at is None
        if not shred:
            checkpoint = snapshot.checkpoint
            if self._published is None or self._published[0] != snapshot.published:
                # Rare. Without the copy a changed dictionary would be compared with itself.
                sealed = self.seal("published", 0, published_json(snapshot.published))
                self._published = dict(snapshot.published), sealed
            published = self._published[1]
        since = now if self.finished_at is None else self.finished_at
        self.finished_at = since if snapshot.finished else None
        return State(snapshot.status, self.finished_at, shred, shred_at, checkpoint, published)

    def seal(self, column: str, seq: int, value: bytes) -> bytes:
        """Seal a value that is written as it is."""
        return self._fence.sealer.seal(column, seq, value)


@define(eq=False)
class FlowJournal:
    """`IJournal` and `History` for one flow. Not for use from several threads.

    What is recorded inside one `process()` block is one atomic commit, together with the snapshot
    of the flow that the callable given to `attach` makes at the end of the block. The queued calls
    run once that commit is durable: at once in an inline journal, later from the reactor otherwise.

    An exception inside the block drops everything gathered in it. The flow's objects are then
    ahead of what is durable: load them again before the next block.
    """

    _fence: Fence
    _seq: int
    """The flow's seq after everything submitted so far."""
    _writer: Writer
    _clock: Callable[[], float]
    _gone: Callable[[int, "FlowJournal"], None]
    """Called when the flow is finished or lost, so that it may be taken again."""
    _last: LastState
    _uid: str
    _detached_key: bytes = field(repr=False)
    """Under which detached tasks are sealed."""
    messages: Messages
    """Where what `keep_message` kept can be read again."""
    when_lost: Callable[[Exception], object] | None = field(default=None, init=False)
    """Called once, with `Fenced` if another worker has the flow, or with `CommitFailed` if a commit
    failed for good. Nothing of that commit or of a later one is released, and `process()` raises
    the same error from then on."""
    _snapshot: Callable[[], Snapshot] | None = field(default=None, init=False)
    _told: bool = field(default=False, init=False)
    _block: _Block = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._block = _Block(self)

    @property
    def retain(self) -> float:
        """Seconds for which a flow that says `shred` can still be read; see `SqlJournal.retain`."""
        return self._last.retain

    @property
    def is_lost(self) -> bool:
        """Whether another worker has the flow, or a commit failed for good."""
        return self._fence.lost is not None

    @property
    def is_settled(self) -> bool:
        """Whether all that was recorded is durable, and let out."""
        return not self._fence.pending

    @property
    def epoch(self) -> int:
        """Under which it writes."""
        return self._fence.epoch

    def attach(self, snapshot: Callable[[], Snapshot]) -> None:
        """Say how to get the flow's state; called once at the end of a block that writes."""
        self._snapshot = snapshot

    def process(self) -> AbstractContextManager[None]:
        """Surround the handling of one event; see `IJournal.process`.

        If the flow is lost, raises what `when_lost` was told. Raises JournalStopped.
        """
        return self._block

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `fn` after the commit; see `IJournal.queue_outbound`."""
        call = partial(fn, *args, **kwargs)
        if self._block.commit is not None:
            self._block.commit.calls.append(call)
        else:
            with self._block:
                self._block.open().calls.append(call)

    def before_commit(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` before this entry is committed, in the thread that writes.

        For what the entry relies on and the database does not have, such as `os.fdatasync` of a
        file: the thread that processes events need not wait for it. If it raises, the entry is not
        committed, and the flow is lost. Raises JournalError outside a block.
        """
        commit = self._block.open()
        commit.before = (*commit.before, partial(fn, *args))

    def record(self, kind: str, *, heard: str, said: Sequence[str], event: bytes) -> None:
        """Add an entry; see `History.record`.

        Raises JournalError outside a block, and TypeError or UnicodeEncodeError for what cannot be
        sealed or written: later, in the writer's thread, that would fail other flows' commits too.
        """
        if not isinstance(event, bytes):
            raise TypeError("an event is bytes")
        commit = self._block.open()
        seq = commit.base + len(commit.entries) + 1
        words = _listed(said)
        entry = Entry(seq, self._clock(), kind, heard, words, event)
        commit.entries = (*commit.entries, entry)
        commit.size += len(f"{heard}{words}".encode()) + len(event)

    def mention(self, words: str) -> None:
        """Add to what the last entry of this block says goes out; for people, never a secret.

        Raises JournalError outside a block.
        """
        commit = self._block.open()
        commit.mentioned = (*commit.mentioned, words)
        commit.size += len(words)

    def comes_again(self) -> None:
        """Say that what led to this entry would come again if it were lost.

        So if it releases nothing, it may become durable a little later, with the flow's next.
        Raises JournalError outside a block.
        """
        self._block.open().comes_again = True

    def execute(self, statement: Executable, parameters: Parameters = None) -> None:
        """Execute the application's own statement in the same transaction.

        If the database refuses it, the flow is lost. Raises JournalError outside a block.
        """
        commit = self._block.open()
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
        commit = self._block.open()
        sealed = self._last.seal("arguments", number, arguments)
        self._change(commit, AddTask(Task(number, name, sealed, key, due_at, attempts, error)))

    def detach_task(
        self, number: int, name: str, arguments: bytes, key: str, due_at: float
    ) -> None:
        """Remember a task that stays until it is done, whatever becomes of this flow.

        Any worker does it: see `SqlJournal.claim_detached`. `number` is negative, and new in this
        flow, also after a retry. Raises JournalError outside a block.
        """
        commit = self._block.open()
        if not self._detached_key:
            raise JournalError("the key for what outlives a flow does not open")
        sealed = seal_detached(self._detached_key, self._uid, number, arguments)
        self._change(commit, AddTask(Task(number, name, sealed, key, due_at)))

    def finish_task(self, number: int) -> None:
        """Forget a task. Raises JournalError outside a block."""
        self._change(self._block.open(), FinishTask(number))

    def defer_task(self, number: int, due_at: float, attempts: int, error: str) -> None:
        """Remember how often a task was tried, and when it is to be tried again, if it is not done.

        Raises JournalError outside a block.
        """
        self._change(self._block.open(), DeferTask(number, due_at, attempts, error))

    def keep_message(self, number: int, body: bytes) -> None:
        """Keep a message apart from the checkpoint; `number` is new in this attempt.

        Raises JournalError outside a block.
        """
        commit = self._block.open()
        commit.messages = (*commit.messages, (number, body))
        commit.size += len(body)

    def _change(self, commit: Commit, change: TaskChange) -> None:
        commit.tasks = (*commit.tasks, change)

    def _complete(self, commit: Commit) -> None:
        if not (commit.entries or commit.tasks or commit.statements or commit.before):
            return
        if self._snapshot is None:
            raise JournalError("attach() a snapshot before the first event")
        snapshot = self._snapshot()
        if not commit.entries:
            # Every commit moves the fence, and every seq has its entry: a hole is always damage.
            self.record("change", heard="flow: changed", said=(), event=b"")
        if commit.mentioned:
            last = commit.entries[-1]
            last.said = _listed((*json.loads(last.said), *commit.mentioned))
        commit.seq = commit.base + len(commit.entries)
        commit.at = self._clock()
        was_over = self._last.finished_at is not None
        commit.state = self._last.next(snapshot, commit.at)
        commit.size += len(snapshot.checkpoint)
        if snapshot.finished and not was_over:
            commit.calls.append(self._leave_it)

    def _leave_it(self) -> None:
        self._gone(self._fence.id, self)

    def fence(self, error: Exception) -> None:
        """Let nothing more of this flow out. The one method that any thread may call.

        The caller then sees to it that `refused` is called, in the thread that processes events.
        """
        self._fence.lost = error

    def refused(self, error: Exception) -> None:
        """Tell, once, that the flow is lost."""
        if self._told:
            return
        self._told = True
        self._fence.lost = error
        self._leave_it()
        if self.when_lost is not None:
            self.when_lost(error)
        elif self._snapshot is not None:
            raise error


def _listed(said: Sequence[str]) -> str:
    """Return a JSON list."""
    return f"[{', '.join(map(encode_basestring, said))}]"


def _is_a_journal(journal: FlowJournal) -> tuple[IJournal, History]:
    return journal, journal
