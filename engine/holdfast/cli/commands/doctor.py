"""`holdfast doctor`: look for damage in a journal, and repair nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click
from attrs import define, field

from holdfast.cli import say
from holdfast.cli.settings import db_option
from holdfast.cli.status_line import StatusLine
from holdfast.operating.service import ONE_COMMANDS
from holdfast.operating.summing import contact_words, contacts

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal
    from holdfast_journal.doctor import Finding, Unattended

LONG: Final = 300.0
"""Seconds after which a flow that is due should have found a worker."""

TELL_EACH: Final = 100
"""Flows after which a terminal is told how far that is."""

LOOK_AGAIN: Final = 3.0
"""Seconds in which a living worker takes what is free."""


@click.command(
    epilog="With --json: one object whose keys are flows and shredded (how many were checked, and"
    " how many of these could not be opened because their keys were deleted), under_way (an object:"
    " how many flows are watched by their mailbox server, visited in turn, or connected), kept"
    " (whether connections of transfers outlive their process, in a line; null for a part of the"
    " database) and findings, an array of objects with the keys check, batch, flow (null if it is"
    " about more than one), what, do, and hint (true if there may be no problem). The exit status"
    " is 1 if a finding is not a hint."
)
@click.argument("name", required=False)
@click.option("--batch", metavar="BATCH", help="Only the flows of this batch.")
@click.option(
    "--flows",
    "sources",
    multiple=True,
    metavar="MODULE",
    help="Also know your own flows: import MODULE (a module name or a .py file), which registers"
    " them. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document for programs.")
@click.option(
    "--note",
    "noted",
    is_flag=True,
    help="Write into the audit what was found, where the console shows it. For checks of the whole"
    " database.",
)
@db_option
def command(
    name: str | None,
    batch: str | None,
    sources: Sequence[str],
    *,
    as_json: bool,
    noted: bool,
    db: str,
) -> None:
    """Look for damage in a database, and repair nothing.

    Opens each flow, or only NAME, replays its history, and compares the outcome with the checkpoint
    from which it would be resumed. Prints one line per problem: what is wrong, where, and what to
    do about it. Workers may keep running meanwhile.
    """
    from holdfast.operating.checkups import note
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import check_batch, one_flow
    from holdfast.operating.keepers import kept_in_words
    from holdfast.operating.own_flows import load

    if noted and (name is not None or batch is not None):
        raise click.UsageError("--note is for checks of the whole database.")
    load(sources)
    with existing_journal(db, say.tell, looks=True) as journal:
        if name is not None:
            flow = one_flow(journal, name, batch)
            name, batch = flow.name, flow.batch
        elif batch is not None:
            check_batch(journal, batch)
        line = StatusLine()
        report = check(journal, batch, name, goes_on=line.tell)
        line.clear()
    if name is None and batch is None:
        report.kept = kept_in_words(os.environ)
    if as_json:
        click.echo(json.dumps(report.as_object(), indent=2))
    else:
        report.show()
    if noted:
        with existing_journal(db, say.tell) as journal:
            note(journal, report.summary, report.findings)
    if report.bad:
        click.get_current_context().exit(1)


@define
class Report:
    """What was found, in the order in which it was found."""

    flows: int = 0
    shredded: int = 0
    findings: list[Finding] = field(factory=list)
    contacts: Mapping[str, int] = field(factory=lambda: contacts(()))
    """How many flows that are under way hear of their recipients in each way."""
    kept: str | None = None
    """Whether the connections of transfers outlive their process, in a line."""

    @property
    def bad(self) -> int:
        """How many findings are problems, and not hints."""
        return sum(not each.hint for each in self.findings)

    def as_object(self) -> dict[str, object]:
        """Return the report for programs."""
        from attrs import asdict

        findings = [asdict(each) for each in self.findings]
        counts = {"flows": self.flows, "shredded": self.shredded, "under_way": self.contacts}
        return {**counts, "kept": self.kept, "findings": findings}

    def show(self) -> None:
        """Print the report for people, one line per finding."""
        from holdfast.operating.checkups import as_words

        for each in self.findings:
            click.echo(as_words(each))
        if words := contact_words(self.contacts):
            click.echo(f"under way: {words}")
        if self.kept is not None:
            click.echo(self.kept)
        click.echo(self.summary)

    @property
    def summary(self) -> str:
        """How much was checked, and how many problems there are, in a line."""
        looked = _flows(self.flows)
        if self.shredded:
            looked += f", {self.shredded} of them not opened because their keys were deleted"
        found = "1 problem" if self.bad == 1 else f"{self.bad or 'no'} problems"
        return f"checked {looked}: {found}"


def check(
    journal: SqlJournal,
    batch: str | None = None,
    name: str | None = None,
    pause: Callable[[float], object] = time.sleep,
    goes_on: Callable[[str], object] = lambda _: None,
) -> Report:
    """Check the database, its workers, and each flow, or each of `batch`, or the one called `name`.

    `goes_on` is told now and then how far that is: 100,000 flows take minutes.

    Raises:
        DatabaseUnusable: the database does not answer.
    """
    from sqlalchemy.exc import DatabaseError

    from holdfast.flows.engine.replay import check_flow
    from holdfast_journal import Filter
    from holdfast_journal.doctor import damage
    from holdfast_journal.errors import DatabaseUnusable

    report = Report()
    total: list[int] = []
    goes_on("checking the database as a whole")
    try:
        chosen = Filter(batch=batch, names=None if name is None else [name], finished=False)
        report.contacts = contacts(journal.groups(chosen))
        report.findings += journal.checks.database()
        for flow in journal.checks.flows(batch, name, total.append):
            check_flow(flow)
            report.flows += 1
            report.shredded += flow.shredded
            report.findings += flow.findings
            if report.flows % TELL_EACH == 0:
                goes_on(f"checked {report.flows} of {_flows(total[0])}")
        free = _free(journal, batch, name, pause)
        report.findings += _about(free, any(each.alive for each in journal.workers()))
    except (DatabaseUnusable, DatabaseError) as error:
        report.findings.append(damage(error))
    return report


def _free(
    journal: SqlJournal, batch: str | None, name: str | None, pause: Callable[[float], object]
) -> list[Unattended]:
    """Return the flows that are not run, and that none of the living workers has taken."""

    def look() -> dict[tuple[int, int], Unattended]:
        found = journal.checks.unattended(batch)
        return {(each.id, each.epoch): each for each in found if name in (None, each.name)}

    first = look()
    if first and any(each.alive for each in journal.workers()):
        pause(LOOK_AGAIN)
        again = look()
        return [each for place, each in first.items() if place in again]
    return list(first.values())


def _about(free: Sequence[Unattended], somebody: bool) -> Iterator[Finding]:
    """Say what must be done for flows that are not run."""
    from holdfast_journal.doctor import Finding

    groups: dict[tuple[str, bool], list[Unattended]] = {}
    for each in free:
        groups.setdefault((each.kind, each.left), []).append(each)
    for (kind, left), those in sorted(groups.items()):
        late = somebody and max(each.waiting for each in those) > LONG
        if left:
            state = (
                "belong to processes that are dead or silent, and no other process has taken them"
            )
        elif late:
            state = f"have waited for more than {LONG / 60:.0f} minutes, and no process takes them"
        else:
            state = "wait for a process"
        do = "start 'holdfast run'"
        if kind in ONE_COMMANDS:
            do = f"start the same 'holdfast {ONE_COMMANDS[kind]}' again, or cancel it"
        elif somebody:
            do = "start another 'holdfast run'; --flows names the modules of your own flows"
        what = f"flows of the kind {kind!r} {state} ({len(those)}, {those[0].name!r} for one)"
        hint = kind in ONE_COMMANDS or not (left or late)
        yield Finding("lease", what, do, those[0].batch, hint=hint)


def _flows(number: int) -> str:
    return "1 flow" if number == 1 else f"{number} flows"
