"""Starting flows, starting them again, and asking something of them."""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from holdfast_journal.auditing.acts import Act
from holdfast_journal.auditing.recording import record, record_flows, record_names
from holdfast_journal.auditing.tokens import Tokens
from holdfast_journal.errors import NoSuchFlow
from holdfast_journal.keys.master import fingerprint_key, note_key
from holdfast_journal.keys.ring import KeyRing, fingerprint
from holdfast_journal.keys.sealing import new_key, published_json, seal
from holdfast_journal.ownership import asking, due, retrying
from holdfast_journal.ownership.jobs import Jobs
from holdfast_journal.ownership.retrying import Retried
from holdfast_journal.ownership.values import ExistingFlow, NewFlow, Started, Unfinished
from holdfast_journal.reading.reader import Reader
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import DONE, NEW, batches, flows, workers


@define(eq=False)
class Starter(Reader):
    """What any process may do with the flows of a journal, whichever worker runs them.

    Every method raises DatabaseUnusable.
    """

    """Seconds since the epoch."""
    _fingerprint_key: bytes | None = field(default=None, init=False, repr=False)

    def fingerprint(self, *parts: str) -> str:
        """A keyed hash of `parts`, in hex, for `NewFlow.fingerprint`; it never changes.

        Raises WrongKey, Unreadable.
        """
        return fingerprint(self._own_key(), *parts)

    def _own_key(self) -> bytes:
        """The key of fingerprints, from which others follow. Raises WrongKey, Unreadable."""
        if self._fingerprint_key is None:
            self._fingerprint_key = fingerprint_key(self._database, self._keys, self._clock())
        return self._fingerprint_key

    def existing(self, batch: str, names: Sequence[str]) -> list[ExistingFlow]:
        """What `start_flows` would find there already, without starting anything."""
        query = select(batches.c.id).where(batches.c.name == batch)
        with self._database.reading() as connection:
            batch_id = connection.scalar(query)
            if batch_id is None:
                return []
            found = _existing(connection, batch_id, names)
        return [found[name] for name in names if name in found]

    def ask(self, name: str, batch: str | None, request: str, *, act: Act | None = None) -> bool:
        """Ask something of a flow's owner, present or next. Return False if the flow is finished.

        Raises NoSuchFlow.
        """
        flow = self._find(name, batch)
        statement = (
            update(flows)
            .where(flows.c.id == flow, flows.c.finished_at.is_(None))
            .values(request=request)
        )
        with self._database.writing() as connection:
            asked = connection.execute(statement).rowcount == 1
            if asked:
                record_flows(connection, act, [flow], self._clock())
        return asked

    def retry(
        self,
        name: str,
        batch: str | None,
        *,
        done: Collection[str] = (DONE,),
        act: Act | None = None,
    ) -> None:
        """Put a finished flow back to its beginning, unless its status is one of `done`.

        Raises NotRetryable, NoSuchFlow, WrongKey.
        """
        flow = self._find(name, batch)
        retrying.retry(self._database, self._keys, flow, self._clock(), done=done, act=act)

    def ask_all(
        self, flow_ids: Collection[int], request: str, *, act: Act | None = None
    ) -> Iterator[set[int]]:
        """Ask something of many flows, some in each transaction; give those that are not over.

        To ask the same again changes nothing.
        """
        return asking.ask(self._database, flow_ids, request, self._clock(), act)

    def change(
        self,
        flow_ids: Collection[int],
        make: Callable[[bytes], bytes],
        request: str,
        *,
        act: Act | None = None,
    ) -> Iterator[Mapping[int, str | None]]:
        """Change the parameters of flows, and ask those that have begun to heed that.

        Gives, for some flows in each transaction, None, or in words why it was not done. `make`
        raises ValueError, in words, for parameters that it cannot change. A flow that is over gets
        other parameters too, for `retry`.
        """
        now = self._clock()
        return asking.change(self._database, self._keys, flow_ids, make, request, now, act)

    def plan_retries(self, plan: str, attempts: Mapping[int, int]) -> None:
        """Write down, in one transaction, which attempts of which flows are to be retried.

        `plan` is a name of at most 32 characters; see `ownership.retrying`.
        """
        retrying.plan(self._database, plan, attempts, self._clock())

    def planned(self, plan: str) -> tuple[int, float | None]:
        """How many flows are left of a plan, and when it was made, in seconds since the epoch."""
        return retrying.planned(self._database, plan)

    def retry_planned(
        self, plan: str, *, done: Collection[str] = (DONE,), act: Act | None = None
    ) -> Iterator[list[Retried]]:
        """Retry what is left of a plan, some flows in each transaction; give what became of them.

        A flow that went well, or was retried since, stays as it is. Ask for all that it gives, or
        call it again later: what is left stays planned.
        """
        now = self._clock()
        return retrying.carry_out(self._database, self._keys, plan, now, done=done, act=act)

    def note(self, act: Act, *flow_ids: int) -> None:
        """Write down an act that changes nothing else, such as that codes were shown.

        It is written for each of these flows; if there are none, it was not done to flows. What it
        leads to must wait until this has returned.
        """
        now = self._clock()
        with self._database.writing() as connection:
            if flow_ids:
                record_flows(connection, act, flow_ids, now)
            else:
                record(connection, act, now)

    @property
    def tokens(self) -> Tokens:
        """The tokens of the console and the API."""
        return Tokens(self._database, self._clock)

    @property
    def jobs(self) -> Jobs:
        """What operators have asked of many flows in a console."""
        return Jobs(self._database, self._keys, self._clock)

    def drain(self, worker: int, *, act: Act) -> bool:
        """Ask a worker to give back its flows and end. Return False if there is none of that id."""
        now = self._clock()
        statement = update(workers).where(workers.c.id == worker, workers.c.drain_at.is_(None))
        with self._database.writing() as connection:
            found = connection.execute(statement.values(drain_at=now)).rowcount == 1
            if found:
                record(connection, act, now)
        return found

    def count_unfinished(
        self,
        *,
        batch: str | None = None,
        names: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
    ) -> Unfinished:
        """How many flows are to be run, of those that `take` could give."""
        return due.count_unfinished(self._database, due.Wanted(batch, names, kinds=kinds))

    def _find(self, name: str, batch: str | None) -> int:
        """The id of a flow. Without `batch` the name must be in one only. Raises NoSuchFlow."""
        inside = select(batches.c.id)
        if batch is not None:
            inside = inside.where(batches.c.name == batch)
        # A name has an index with its batch only.
        query = select(flows.c.id).where(flows.c.batch_id.in_(inside), flows.c.name == name)
        with self._database.reading() as connection:
            found = connection.execute(query.limit(2)).all()
        match found:
            case [row]:
                return int(row.id)
            case []:
                where = "" if batch is None else f" in batch {batch!r}"
                raise NoSuchFlow(f"there is no flow named {name!r}{where}")
            case _:
                raise NoSuchFlow(f"several batches have a flow named {name!r}; say which batch")


def start_flows(
    database: Database,
    ring: KeyRing,
    batch: str,
    new: Sequence[NewFlow],
    owner: int | None,
    now: float,
    act: Act | None = None,
) -> Started:
    """Start those of `new` whose names are not in `batch` yet, in one transaction.

    Raises ValueError if a name comes twice in `new`, and WrongKey.
    """
    names = [flow.name for flow in new]
    if len(set(names)) != len(names):
        raise ValueError("a name comes twice among the flows to be started")
    attempts = 3
    while True:
        attempts -= 1
        try:
            with database.writing() as connection:
                note_key(connection, database, ring, now)
                batch_id = _batch(connection, batch, now)
                existing = _existing(connection, batch_id, names)
                started = [flow for flow in new if flow.name not in existing]
                for chunk in chunks(started):  # 100,000 rows take 200 MB
                    rows = [_row(ring, batch_id, flow, owner, now) for flow in chunk]
                    connection.execute(insert(flows), rows)
                if started:
                    names_of_new = [flow.name for flow in started]
                    record_names(connection, act, batch_id, names_of_new, now)
            break
        except IntegrityError:
            # PostgreSQL only: another process has just started the same ones.
            if not attempts:
                raise
    return Started(
        started=[flow.name for flow in started],
        existing=[existing[name] for name in names if name in existing],
    )


def _batch(connection: Connection, name: str, now: float) -> int:
    found = connection.execute(select(batches.c.id).where(batches.c.name == name)).scalar()
    if found is None:
        statement = insert(batches).values(name=name, created_at=now).returning(batches.c.id)
        found = connection.execute(statement).scalar_one()
    return int(found)


_EXISTING = select(
    *(
        flows.c[name]
        for name in ("id", "name", "kind", "status", "finished_at", "fingerprint", "attempt")
    )
)


def _existing(
    connection: Connection, batch_id: int, names: Sequence[str]
) -> Mapping[str, ExistingFlow]:
    found: dict[str, ExistingFlow] = {}
    for chunk in chunks(names):
        query = _EXISTING.where(flows.c.batch_id == batch_id, flows.c.name.in_(chunk))
        for row in connection.execute(query):
            found[row.name] = ExistingFlow(
                id=row.id,
                name=row.name,
                kind=row.kind,
                status=row.status,
                finished=row.finished_at is not None,
                fingerprint=row.fingerprint,
                attempt=row.attempt,
            )
    return found


def _row(
    ring: KeyRing, batch_id: int, flow: NewFlow, owner: int | None, now: float
) -> dict[str, Any]:
    uid, key = secrets.token_hex(16), new_key()
    return {
        "uid": uid,
        "batch_id": batch_id,
        "name": flow.name,
        "kind": flow.kind,
        "status": NEW,
        "created_at": now,
        "updated_at": now,
        "attempt": 1,
        "epoch": 0,
        "owner": owner,
        "seq": 0,
        "failures": 0,
        "fingerprint": flow.fingerprint,
        "params": seal(key, uid, "params", 0, flow.params),
        "published": seal(key, uid, "published", 0, published_json(flow.published)),
        "data_key": ring.seal_data_key(uid, key),
    }
