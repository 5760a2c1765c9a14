"""What operators have done, page by page, the newest first."""

from collections.abc import Sequence

from attrs import fields, frozen
from sqlalchemy import select
from sqlalchemy.engine import Connection

from holdfast_journal.store.schema import audit
from holdfast_journal.store.values import mended, unsound


@frozen
class Deed:
    """One thing that an operator did. Times in seconds since the epoch."""

    id: int
    at: float
    who: str
    origin: str
    face: str
    action: str
    flow_uid: str | None
    """None if it was not done to one flow; so are `name` and `batch`."""
    name: str | None
    batch: str | None
    detail: str
    why: str


@frozen
class Deeds:
    """Which deeds are meant: those for which everything holds that is said. None says nothing.

    Args:
        who: exactly this person or program.
        action: exactly this action.
        flow_uid: what was done to this flow.
        name: what was done to flows of this name.
        batch: what was done to flows of this batch.
        before: an id: only older deeds. So a page begins behind the last deed of the one before.
    """

    who: str | None = None
    action: str | None = None
    flow_uid: str | None = None
    name: str | None = None
    batch: str | None = None
    before: int | None = None


_COLUMNS = tuple(each.name for each in fields(Deed))


def find(connection: Connection, meant: Deeds, limit: int) -> Sequence[Deed]:
    """At most `limit` deeds, the newest first."""
    query = select(audit)
    for name in ("who", "action", "flow_uid", "name", "batch"):
        if (value := getattr(meant, name)) is not None:
            query = query.where(audit.c[name] == value)
    if meant.before is not None:
        query = query.where(audit.c.id < meant.before)
    rows = connection.execute(query.order_by(audit.c.id.desc()).limit(limit))
    found = (mended(row, audit, unsound(row, audit)) for row in rows)
    return [Deed(*(getattr(row, name) for name in _COLUMNS)) for row in found]
