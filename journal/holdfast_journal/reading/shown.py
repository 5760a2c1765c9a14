"""From rows to what operators see: one altered row must not hide all the others."""

import json
from collections.abc import Sequence
from typing import Any

from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.interface import Published
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.reading.queries import NOT_SHOWN
from holdfast_journal.reading.rows import EntryRow, FlowRow
from holdfast_journal.store.resting import rests_until
from holdfast_journal.store.schema import entries, flows
from holdfast_journal.store.values import altered, mended, texts, unsound
from holdfast_journal.workers.registration import Alive


def entry_row(row: Any) -> EntryRow:
    """A row of the history, without its event."""
    row = _sound_entry(row)
    return EntryRow(row.seq, row.at, row.worker, row.kind, row.heard, texts(row.said))


def flow_rows(rows: Sequence[Any], keys: KeyRing | None, alive: Alive) -> list[FlowRow]:
    """The flows of these rows of `queries.SHOWN`; or, without `keys`, of `queries.PLAIN`."""
    bad = {number: columns for number, row in enumerate(rows) if (columns := _bad(row))}
    rows = [mended(row, flows, bad[n]) if n in bad else row for n, row in enumerate(rows)]
    owners = {row.owner for row in rows if row.owner is not None}
    living = alive(owners) if owners else ()
    return [
        FlowRow(
            id=row.id,
            uid=row.uid,
            batch=row.batch_name,
            name=row.name,
            kind=row.kind,
            status=row.status,
            published=_published(row, keys) if n not in bad else {"reason": altered(bad[n])},
            created_at=row.created_at,
            updated_at=row.updated_at,
            finished_at=row.finished_at,
            attempt=row.attempt,
            seq=row.seq,
            request=row.request,
            owner=row.owner,
            owner_host=row.host,
            owner_pid=row.pid,
            owner_alive=None if row.owner is None else row.owner in living,
            wake_at=rests_until(row.wake_at),
            failures=row.failures,
            trouble=row.trouble,
            deaths=row.deaths or 0,
            watched=row.finished_at is None and (row.wake_at or 0) < 0,
        )
        for n, row in enumerate(rows)
    ]


def _bad(row: Any) -> Sequence[str]:
    return [name for name in unsound(row, flows) if name not in NOT_SHOWN]


def _published(row: Any, keys: KeyRing | None) -> Published | None:
    """What the flow shows; one altered row must not hide all the others."""
    if keys is None or row.data_key is None or row.published is None:
        return None
    try:
        key = keys.open_data_key(row.uid, row.data_key)
        found = json.loads(unseal(key, row.uid, "published", 0, row.published))
    except (Unreadable, WrongKey) as error:
        return {"reason": str(error)}
    except (ValueError, RecursionError):
        found = None
    shown: Published = found if isinstance(found, dict) else {"reason": "what it shows is not JSON"}
    return shown


def _sound_entry(row: Any) -> Any:
    """What can be shown of an entry, even if it was altered."""
    columns = [name for name in unsound(row, entries) if name not in ("id", "event")]
    if not columns:
        return row
    found = mended(row, entries, columns)
    found.heard = f"journal: this entry was altered: {altered(columns)}"
    return found
