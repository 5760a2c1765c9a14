"""`holdfast status`: how each flow stands."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from holdfast.cli import say, watching
from holdfast.cli.choosing import choosing_options
from holdfast.cli.failure import Failure
from holdfast.cli.settings import db_option
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.operating.choosing import Choice
    from holdfast_journal import FlowRow, Sort, SqlJournal

SHOWN = 100
"""How many flows are shown to people who do not say how many."""
TASKS_SHOWN = 20
"""How many tasks of one flow are shown."""
LINES_BESIDE = 8
"""Lines of a screen that are not rows of the table, if it is watched."""
PAGE = 500
"""How many flows are read together for a program."""


@click.command(
    epilog="With --json: one array with an object per flow, whose keys are name, batch, kind,"
    " status, code (null unless it can be used now), published (what the flow shows of itself;"
    " null once it was shredded), attempt, request, wake_at (the next visit of a parked flow),"
    " failures and trouble (how often and where its own code raised; or why it cannot be"
    " loaded), deaths (how many workers in a row ended soon after they had taken it),"
    " started_at, changed_at, finished_at (UTC, ISO 8601), worker (null, or an object with"
    " id, host, pid and alive) and uid (the identifier of its trace). Codes are there for a single"
    " NAME, or if you ask with --codes."
    " --csv has the same columns without published; its worker is the id of one that is alive."
)
@click.argument("name", required=False)
@choosing_options
@click.option(
    "--sort",
    type=click.Choice(["trouble", "changed", "name", "started"]),
    help="The order: what is in trouble first, then what is under way, then what ended well (the"
    " default for people); what changed last first; by name; or as they were started (the default"
    " for programs).",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show at most N flows. Without it people see {SHOWN}, or with --watch what fits on the"
    " screen, and programs all.",
)
@click.option(
    "--watch", "watched", is_flag=True, help="Show it again every two seconds, until Ctrl-C."
)
@click.option("--codes", is_flag=True, help="Show the codes that recipients can use now.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV for programs.")
@db_option
def command(
    name: str | None,
    choice: "Choice",
    sort: str | None,
    limit: int | None,
    watched: bool,
    codes: bool,
    as_json: bool,
    as_csv: bool,
    db: str,
) -> None:
    """Show how each flow stands.

    Shows 100 flows, those in trouble first, and how many there are. The options choose among them.
    With NAME, shows everything that is known of one flow, also its code.
    """
    from holdfast.cli.flow_table import FlowTable
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import check_batch
    from holdfast_journal import Sort

    order = Sort(sort or ("started" if as_json or as_csv else "trouble"))
    if as_json and as_csv:
        raise Failure("--json and --csv are two documents; ask for one")
    if watched and (as_json or as_csv):
        raise Failure("--watch is for people, and --json and --csv are for programs")
    if watched:
        watching.check_terminal()
    if name is not None and choice.is_by_filter:
        raise Failure("NAME is one flow, and the options choose among many; --name takes a pattern")
    with existing_journal(db, say.tell, looks=True) as journal:
        if name is None:
            check_batch(journal, choice.batch)
        if as_json or as_csv:
            if name is not None:
                _write([[_named(journal, name, choice)]], as_csv=as_csv, codes=True)
            else:
                pages = _pages(journal, choice, order, limit, opens=codes or as_json)
                _write(pages, as_csv=as_csv, codes=codes)
        else:
            if name is not None:
                show = partial(_show_named, journal, name, choice)
            else:
                most = watching.rows_of_a_screen(LINES_BESIDE) if watched else SHOWN
                show = partial(FlowTable(choice, order, limit or most, codes).show, journal)
            watching.watch(show) if watched else show()


def _named(journal: "SqlJournal", name: str, choice: "Choice") -> "FlowRow":
    from holdfast.operating.finding import one_flow

    return one_flow(journal, name, choice.batch)


def _show_named(journal: "SqlJournal", name: str, choice: "Choice") -> None:
    from holdfast.cli.flow_facts import show_one
    from holdfast.operating.kept import kept_by
    from holdfast_journal import Filter, TaskFilter

    flow = _named(journal, name, choice)
    waits_for_room = flow.status == FlowStatus.NEW and bool(journal.notices())
    of_it = TaskFilter(flows=Filter(ids=[flow.id]))
    tasks = journal.tasks(of_it, limit=TASKS_SHOWN).rows
    show_one(flow, kept_by(journal, flow), tasks, waits_for_room=waits_for_room)


def _pages(
    journal: "SqlJournal", choice: "Choice", order: "Sort", limit: int | None, *, opens: bool
) -> Iterator[Sequence["FlowRow"]]:
    """Give the flows, a few at a time, each time as they stand then."""
    chosen, after, left = choice.filter(), None, limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = journal.page(chosen, order, limit=size, after=after, opens=opens)
        yield page.rows
        after, left = page.then, None if left is None else left - len(page.rows)
        if after is None:
            return


def _write(pages: Iterable[Sequence["FlowRow"]], *, as_csv: bool, codes: bool) -> None:
    from holdfast.cli.flow_documents import write_csv, write_json

    (write_csv if as_csv else write_json)(pages, codes=codes)
