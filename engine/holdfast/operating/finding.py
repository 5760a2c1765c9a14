"""Finding the flow that a person means."""

from typing import TYPE_CHECKING

from holdfast.operating.people import same_name
from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, SqlJournal

DEFAULT_BATCH = "default"
"""The batch of flows that were started without one."""


def one_flow(journal: "SqlJournal", name: str, batch: str | None) -> "FlowRow":
    """Return the one flow called `name`, in `batch` if that is given.

    Raises `Refused` if there is none, or one in each of several batches.
    """
    rows = journal.overview(batch=batch, name=same_name(name))
    if len(rows) == 1:
        return rows[0]
    if rows:
        batches = ", ".join(quoted(each.batch, 40) for each in rows[:12])
        raise Refused(f"{quoted(name)} is in the batches {batches}; choose one with --batch")
    inside = "" if batch is None else f" in the batch {quoted(batch)}"
    raise Refused(f"no flow is called {quoted(name)}{inside}; 'holdfast status' lists them")


def check_batch(journal: "SqlJournal", batch: str | None) -> None:
    """Raise `Refused` if a batch is given and there is none of that name."""
    from holdfast_journal import Filter

    if batch is not None and not journal.page(Filter(batch=batch), limit=1).rows:
        raise Refused(f"no batch is called {quoted(batch)}; 'holdfast status' lists all flows")
