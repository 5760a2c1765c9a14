"""Flows for programs: one JSON array, or CSV with a header.

Both are written page by page, since there may be more flows than fit into memory.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.cli import documents
from holdfast.cli.brief import iso
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

COLUMNS = (
    *("name", "batch", "kind", "status", "code", "attempt", "request", "wake_at", "failures"),
    *("trouble", "deaths", "started_at", "changed_at", "finished_at", "worker"),
    *("uid", "watched"),
)
"""The columns of CSV."""


def write_json(pages: Iterable[Sequence["FlowRow"]], *, codes: bool) -> None:
    """Write one array, an object on each line; their codes only if they are asked for."""
    documents.write_json([_as_object(row, codes=codes) for row in page] for page in pages)


def write_csv(pages: Iterable[Sequence["FlowRow"]], *, codes: bool) -> None:
    """Write a header, and a row for each flow; their codes only if they are asked for."""
    records = ([_as_record(row, codes=codes) for row in page] for page in pages)
    documents.write_csv(COLUMNS, records)


def _as_record(row: "FlowRow", *, codes: bool) -> dict[str, Any]:
    """The same facts; a worker is its id if it is alive."""
    facts = _as_object(row, codes=codes)
    facts["worker"] = row.owner if row.owner_alive else None
    del facts["published"]
    return facts


def _as_object(row: "FlowRow", *, codes: bool) -> dict[str, Any]:
    published = None if row.published is None else dict(row.published)
    if published is not None and not codes:
        published.pop("code", None)
    worker = None
    if row.owner is not None:
        worker = {
            "id": row.owner,
            "host": row.owner_host,
            "pid": row.owner_pid,
            "alive": row.owner_alive,
        }
    return {
        "name": row.name,
        "batch": row.batch,
        "kind": row.kind,
        "status": row.status,
        "code": live_code(row) if codes else None,
        "published": published,
        "attempt": row.attempt,
        "request": row.request,
        "wake_at": iso(row.wake_at),
        "watched": row.watched,
        "failures": row.failures,
        "trouble": row.trouble,
        "deaths": row.deaths,
        "started_at": iso(row.created_at),
        "changed_at": iso(row.updated_at),
        "finished_at": iso(row.finished_at),
        "worker": worker,
        "uid": row.uid,
    }
