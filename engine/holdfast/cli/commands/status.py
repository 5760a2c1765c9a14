"""`holdfast status`: how each flow stands."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click
from attrs import frozen

from holdfast.cli import say, watching
from holdfast.cli.choosing import choosing_options
from holdfast.cli.failure import Failure
from holdfast.cli.settings import db_option
from holdfast.operating.refused import Refused
from holdfast.operating.standing import live_code
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.operating.choosing import Choice
    from holdfast.operating.codes_shown import CodesShown
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
    " null once it was shredded), attempt, request, wake_at (the next visit of a parked flow,"
    " or until when a watched one rests at most), watched (whether its mailbox server tells when"
    " something comes),"
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
    With NAME, shows everything that is known of one flow, also its code. That a code was shown is
    written into the audit first; if that cannot be written, no code is shown.
    """
    from holdfast.operating.codes_shown import showing_codes
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
    asked = _Asked(name, choice, order, limit)
    with existing_journal(db, say.tell, looks=True) as journal:
        if name is None:
            check_batch(journal, choice.batch)
        if not codes and not (name is not None and _has_code(journal, asked, watched=watched)):
            _show(journal, asked, None, as_json=as_json, as_csv=as_csv, watched=watched)
            return
    with showing_codes(db, say.tell) as shown:
        _show(shown.journal, asked, shown, as_json=as_json, as_csv=as_csv, watched=watched)


@frozen
class _Asked:
    """Which flows are to be shown."""

    name: str | None
    choice: "Choice"
    order: "Sort"
    limit: int | None


def _has_code(journal: "SqlJournal", asked: _Asked, *, watched: bool) -> bool:
    """Whether the one flow has a code that will be shown, now or while it is watched."""
    flow = _named(journal, asked)
    return live_code(flow) is not None or (watched and flow.finished_at is None)


def _show(
    journal: "SqlJournal",
    asked: _Asked,
    shown: "CodesShown | None",
    *,
    as_json: bool,
    as_csv: bool,
    watched: bool,
) -> None:
    """Show what is asked for; with codes if somebody writes down that they are `shown`."""
    from holdfast.cli.flow_table import FlowTable

    if as_json or as_csv:
        if asked.name is not None:
            flow = _named(journal, asked)
            _write([[flow]], as_csv=as_csv, codes=_may_show(shown, flow))
            return
        pages = _pages(journal, asked, opens=shown is not None or as_json)
        if shown is not None:
            pages = _written_down(shown, pages)
        _write(pages, as_csv=as_csv, codes=shown is not None)
        return
    if asked.name is not None:
        show = partial(_show_named, journal, asked, shown)
    else:
        most = watching.rows_of_a_screen(LINES_BESIDE) if watched else SHOWN
        table = FlowTable(asked.choice, asked.order, asked.limit or most, shown)
        show = partial(table.show, journal)
    watching.watch(show) if watched else show()


def _named(journal: "SqlJournal", asked: _Asked) -> "FlowRow":
    from holdfast.operating.finding import one_flow

    return one_flow(journal, asked.name or "", asked.choice.batch)


def _may_show(shown: "CodesShown | None", flow: "FlowRow") -> bool:
    """Whether the code of one flow may be shown; if not, say why, and go on without."""
    if shown is None:
        return False
    try:
        shown.write([flow])
    except Refused as refused:
        say.tell(refused.words)
        return False
    return True


def _written_down(
    shown: "CodesShown", pages: Iterable[Sequence["FlowRow"]]
) -> Iterator[Sequence["FlowRow"]]:
    """Give the pages whose codes may be shown. Raises Refused."""
    for page in pages:
        shown.write(page)
        yield page


def _show_named(journal: "SqlJournal", asked: _Asked, shown: "CodesShown | None") -> None:
    from holdfast.cli.flow_facts import show_one
    from holdfast.operating.kept import kept_by
    from holdfast_journal import Filter, TaskFilter

    flow = _named(journal, asked)
    waits_for_room = flow.status == FlowStatus.NEW and bool(journal.notices())
    of_it = TaskFilter(flows=Filter(ids=[flow.id]))
    tasks = journal.tasks(of_it, limit=TASKS_SHOWN).rows
    codes = _may_show(shown, flow)
    show_one(flow, kept_by(journal, flow), tasks, codes=codes, waits_for_room=waits_for_room)


def _pages(journal: "SqlJournal", asked: _Asked, *, opens: bool) -> Iterator[Sequence["FlowRow"]]:
    """Give the flows, a few at a time, each time as they stand then."""
    chosen, after, left = asked.choice.filter(), None, asked.limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = journal.page(chosen, asked.order, limit=size, after=after, opens=opens)
        yield page.rows
        after, left = page.then, None if left is None else left - len(page.rows)
        if after is None:
            return


def _write(pages: Iterable[Sequence["FlowRow"]], *, as_csv: bool, codes: bool) -> None:
    from holdfast.cli.flow_documents import write_csv, write_json

    (write_csv if as_csv else write_json)(pages, codes=codes)
