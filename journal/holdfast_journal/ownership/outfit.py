"""`Outfit`: what a flow that was taken gets before it runs, which is a journal that writes it."""

from collections.abc import Callable, Sequence

from attrs import frozen

from holdfast_journal.commits.boundaries import Writer
from holdfast_journal.commits.flow import FlowJournal, LastState
from holdfast_journal.commits.messages import Messages
from holdfast_journal.commits.values import Fence
from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.detached import DetachedKey
from holdfast_journal.keys.sealer import Sealer
from holdfast_journal.ownership.suspects import deaths_of
from holdfast_journal.ownership.taking import Taken
from holdfast_journal.ownership.values import TakenFlow
from holdfast_journal.store.database import Database


@frozen
class Outfit:
    """What all journals of this worker's flows have in common."""

    _database: Database
    _writer: Writer
    _clock: Callable[[], float]
    retain: float
    """Seconds for which a flow that went well or was cancelled can still be read; 0: not at all."""
    _gone: Callable[[int, FlowJournal], None]
    detached_key: DetachedKey

    def of(self, flows: Sequence[Taken], worker: int) -> list[TakenFlow]:
        """The flows as their runners get them. Raises DatabaseUnusable."""
        key = self._detached_key_if_any() if flows else b""
        return [self._one(flow, worker, key) for flow in flows]

    def _detached_key_if_any(self) -> bytes:
        """Most flows never ask for a detached task, and run without the key."""
        try:
            return self.detached_key.get()
        except (WrongKey, Unreadable):
            return b""

    def _one(self, flow: Taken, worker: int, detached_key: bytes) -> TakenFlow:
        row = flow.row
        lease = Fence(row.id, flow.epoch, worker, Sealer(row.uid, flow.data_key))
        journal = FlowJournal(
            lease,
            row.seq,
            self._writer,
            self._clock,
            self._gone,
            LastState(lease, self.retain),
            row.uid,
            detached_key,
            Messages(self._database, row.id, row.uid, flow.data_key),
        )
        return TakenFlow(
            id=row.id,
            uid=row.uid,
            batch=row.batch_name,
            name=row.name,
            kind=row.kind,
            params=flow.params,
            checkpoint=flow.checkpoint,
            updated_at=row.updated_at,
            status=row.status,
            seq=row.seq,
            epoch=flow.epoch,
            attempt=row.attempt,
            request=row.request,
            tasks=flow.tasks,
            failures=row.failures,
            trouble=row.trouble,
            deaths=deaths_of(row, worker),
            journal=journal,
        )
