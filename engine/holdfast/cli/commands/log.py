"""`holdfast log`: what happened to one flow, as a story or as it passed the wire."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.documents import document_options
from holdfast.cli.failure import Failure
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast.cli.documents import Write
    from holdfast.operating.story import Step, Story
    from holdfast_journal import EntryRow

EVERY = 0.5
"""Seconds between two looks with --follow."""

AT_ONCE = 0.05
"""Seconds that are not worth showing."""

_STEP = ("at", "after", "what", "mood", "entry", "worker")
_EVENT = ("entry", "at", "worker", "kind", "heard", "said")
"""What a document tells of each."""


@click.command()
@click.argument("name")
@click.option("--batch", metavar="BATCH", help="The batch, if NAME is in several.")
@click.option("--wire", is_flag=True, help="Show each event, and what was said to the server.")
@click.option(
    "-f", "--follow", is_flag=True, help="Go on with what happens next, until the flow is over."
)
@document_options
@db_option
def command(
    name: str,
    batch: str | None,
    *,
    wire: bool,
    follow: bool,
    write: "Write | None",
    db: str,
) -> None:
    """Tell what happened to one flow.

    Prints a line per step: the time, the time since the step before, and what happened. With --wire
    it prints a line per event: its number, the time, the worker that recorded it (a process that
    was killed and started again is another worker), what came in, and what went out. Secrets are
    not shown.
    """
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import one_flow
    from holdfast.operating.story import Story

    if follow and write is not None:
        raise Failure("--follow is for people: a document has an end")
    with existing_journal(db, say.tell, looks=True) as journal:
        flow = one_flow(journal, name, batch)
        story = Story(journal, flow)
        if write is not None:
            made = _facts_of_events(story) if wire else _facts_of_steps(story)
            write(_EVENT if wire else _STEP, [list(made)])
            return
        if follow:
            _follow(story, (lambda: _events(story)) if wire else (lambda: _steps(story)))
            return
        shown = _show_events(story.entries()) if wire else _show_steps(story.steps())
        if not shown and flow.finished_at is not None:
            click.echo("Its journal was purged.")
        elif not shown:
            click.echo("Nothing has happened yet.")


def _facts_of_steps(story: "Story") -> Iterator[dict[str, object]]:
    from holdfast.cli.brief import iso

    for step in story.steps():
        told = (iso(step.at), step.after, step.what, step.mood.value, step.seq, step.worker)
        yield dict(zip(_STEP, told, strict=True))


def _facts_of_events(story: "Story") -> Iterator[dict[str, object]]:
    from holdfast.cli.brief import iso

    for entry in story.entries():
        told = (entry.seq, iso(entry.at), entry.worker, entry.kind, entry.heard, list(entry.said))
        yield dict(zip(_EVENT, told, strict=True))


def _show_steps(steps: Iterable["Step"]) -> bool:
    from holdfast.cli.brief import moment
    from holdfast.cli.tables import cell, column, new_table, show

    table = new_table()
    column(table, "TIME")
    column(table, "AFTER", right=True, spare=True)
    column(table, "WHAT HAPPENED", folds=True)
    for step in steps:
        table.add_row(
            cell(moment(step.at)), cell(_after(step)), cell(step.what, _colour(step) or "")
        )
    if table.row_count:
        show(table)
    return table.row_count > 0


def _steps(story: "Story") -> Iterator[str]:
    """Give a line for each new step: a table would need all of them."""
    from holdfast.cli.brief import moment
    from holdfast.operating.printable import printable

    for step in story.steps():
        what = click.style(printable(step.what), fg=_colour(step))
        yield f"{moment(step.at):<8}  {_after(step):>6}  {what}"


def _after(step: "Step") -> str:
    from holdfast.operating.durations import in_words

    return f"+{in_words(step.after)}" if step.after and step.after >= AT_ONCE else ""


def _colour(step: "Step") -> str | None:
    return {"good": "green", "bad": "red"}.get(step.mood.value)


def _show_events(entries: Iterable["EntryRow"]) -> bool:
    from holdfast.cli.brief import timestamp
    from holdfast.cli.tables import cell, column, new_table, show

    table = new_table()
    column(table, "NO", right=True)
    column(table, "TIME")
    column(table, "WORKER", right=True, spare=True)
    column(table, "CAME IN", folds=True)
    column(table, "WENT OUT", folds=True)
    for entry in entries:
        table.add_row(
            cell(str(entry.seq)),
            cell(timestamp(entry.at)),
            cell("" if entry.worker is None else str(entry.worker)),
            cell(entry.heard or entry.kind),
            cell("; ".join(entry.said)),
        )
    if table.row_count:
        show(table)
    return table.row_count > 0


def _events(story: "Story") -> Iterator[str]:
    from holdfast.cli.brief import timestamp
    from holdfast.operating.printable import printable

    for entry in story.entries():
        said = f"  -> {'; '.join(entry.said)}" if entry.said else ""
        words = printable(f"{entry.heard or entry.kind}{said}", 1000)
        yield f"{entry.seq:>3}  {timestamp(entry.at)}  {entry.worker or ''}  {words}"


def _follow(story: "Story", lines: Callable[[], Iterator[str]]) -> None:
    """Print what is new, again and again, until Ctrl-C or the flow's end."""
    try:
        while True:
            for line in lines():
                click.echo(line)
            if story.is_over:
                return
            time.sleep(EVERY)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            click.echo()  # after the ^C
