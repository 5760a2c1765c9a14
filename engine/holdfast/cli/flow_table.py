"""Many flows for people: a table of some of them, and a summary of all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from attrs import frozen

from holdfast.cli.brief import counted, moment
from holdfast.cli.tables import cell, column, new_table, show, status_cell
from holdfast.operating.choosing import Choice
from holdfast.operating.printable import printable
from holdfast.operating.standing import is_unloaded, live_code, shown_status, since
from holdfast.operating.summing import Summary, summary

if TYPE_CHECKING:
    from holdfast.operating.codes_shown import CodesShown
    from holdfast_journal import FlowRow, Sort, SqlJournal

LONGEST_NOTICE = 500
"""How many characters of a worker's notice are shown."""


@frozen
class FlowTable:
    """What `holdfast status` shows of the flows that an operator chose.

    Args:
        choice: which flows.
        sort: in which order.
        limit: how many of them at most.
        codes: writes down whose codes are shown; None if they are not.
    """

    choice: Choice
    sort: "Sort"
    limit: int
    codes: "CodesShown | None" = None

    def show(self, journal: "SqlJournal") -> None:
        """Show how they stand now. Raises Refused, and JournalError."""
        chosen = self.choice.filter()
        counts = summary(journal.groups(chosen), journal)
        page = journal.page(chosen, self.sort, limit=self.limit, opens=self.codes is not None)
        if not page.rows:
            click.echo("No flow is like that." if self.choice.says_anything else "No flows yet.")
            return
        if self.codes is not None:
            self.codes.write(page.rows)
        self._show_rows(page.rows)
        self._show_summary(page.rows, counts)
        for worker, words in journal.notices():
            click.echo(f"Worker {worker}: {printable(words, LONGEST_NOTICE)}.")

    def _show_rows(self, rows: Sequence["FlowRow"]) -> None:
        several = len({each.batch for each in rows}) > 1
        table = new_table()
        if several:
            column(table, "BATCH", folds=True)
        column(table, "NAME", folds=True)
        column(table, "STATUS")
        if self.codes:
            column(table, "CODE")
        column(table, "SINCE", spare=True)
        column(table, "ATTEMPT", right=True, spare=True)
        for row in rows:
            table.add_row(
                *([cell(row.batch)] if several else []),
                cell(row.name),
                status_cell(shown_status(row)),
                *([cell(live_code(row) or "")] if self.codes else []),
                cell(moment(since(row))),
                cell(str(row.attempt)),
            )
        show(table)

    def _show_summary(self, rows: Sequence["FlowRow"], found: Summary) -> None:
        click.echo(f"\n{counted(found.counts)}.")
        if found.contact_words:
            click.echo(f"{found.contact_words}.")
        if len(rows) < found.total:
            click.echo(f"Of these, {len(rows)} are shown; --limit shows more, --json lists all.")
        if found.unloaded:
            first = next((each for each in rows if is_unloaded(each)), None)
            which = "" if first is None else f": {first.name} {first.trouble}"
            words = f"{found.unloaded} of them wait because a worker could not load them{which}"
            click.echo(printable(words, 1000))
        if found.unserved:
            click.echo("No process serves the unfinished ones; 'holdfast run' continues them.")
