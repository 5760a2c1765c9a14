"""Finding the flow that a person means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.cli.failure import Failure
from holdfast.cli.people import same_name
from holdfast.cli.printable import quoted

if TYPE_CHECKING:
    from holdfast_journal.records import FlowRow
    from holdfast_journal.sql import SqlJournal

DEFAULT_BATCH = "default"
"""The batch of flows that were started without one."""


def one_flow(journal: "SqlJournal", name: str, batch: str | None) -> "FlowRow":
    """Return the one flow called ``name``, in ``batch`` if that is given.

    Raises :class:`Failure` if there is none, or one in each of several batches.
    """
    rows = journal.overview(batch=batch, name=same_name(name))
    if len(rows) == 1:
        return rows[0]
    if rows:
        batches = ", ".join(quoted(each.batch, 40) for each in rows[:12])
        raise Failure(f"{quoted(name)} is in the batches {batches}; choose one with --batch")
    inside = "" if batch is None else f" in the batch {quoted(batch)}"
    raise Failure(f"no flow is called {quoted(name)}{inside}; 'holdfast status' lists them")


def flows_of(journal: "SqlJournal", batch: str | None) -> Sequence["FlowRow"]:
    """Return all flows, or those of one batch, in the order in which they were started.

    Raises :class:`Failure` if a batch is given and there is none of that name.
    """
    rows = journal.overview(batch=batch)
    if batch is not None and not rows:
        raise Failure(f"no batch is called {quoted(batch)}; 'holdfast status' lists all flows")
    return rows
