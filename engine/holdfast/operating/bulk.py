"""What an operator does to many flows at once.

The flows are found, and the rules asked, before anything is changed. Then everything happens in
small transactions, and a command that was killed in between is started again:

- To ask a flow to end, or to give it the same deadline, changes nothing the second time.
- A retry is planned first (`holdfast_journal.ownership.retrying`); the plan has the name of what
  was asked, so the same command finds what is left of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from attrs import asdict, evolve, frozen

from holdfast.operating.choosing import Choice
from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast_journal import Actor, Filter, FlowRow, SqlJournal

Rule = Callable[["FlowRow"], str | None]
"""Says why something cannot be done to a flow; None if nothing is in the way."""


@frozen
class Outcome:
    """What became of one flow."""

    row: FlowRow
    """As it was before."""
    words: str
    """They follow its name."""
    done: bool
    """Whether it was done."""


@frozen
class Selection:
    """The flows that an operator chose, divided by a rule."""

    rows: Sequence[FlowRow]
    """To which it can be done."""
    refused: Sequence[Outcome]


def select(journal: SqlJournal, choice: Choice, why_not: Rule, *, opens: bool = False) -> Selection:
    """Find the flows of a choice, and ask a rule about each.

    Raises Refused if a name is nobody's, or stands in several batches.
    """
    _check_names(journal, choice)
    rows, refused = [], []
    for page in pages(journal, choice.filter(), opens=opens):
        for row in page:
            if (why := why_not(row)) is None:
                rows.append(row)
            else:
                refused.append(Outcome(row, why, done=False))
    return Selection(rows, refused)


def pages(journal: SqlJournal, chosen: Filter, *, opens: bool) -> Iterator[Sequence[FlowRow]]:
    """Yield all flows of a filter, some at a time."""
    after = None
    while True:
        page = journal.page(chosen, after=after, opens=opens)
        yield page.rows
        after = page.then
        if after is None:
            return


def _check_names(journal: SqlJournal, choice: Choice) -> None:
    if not choice.names:
        return
    named = Choice(names=choice.names, batch=choice.batch).filter()
    batches: dict[str, list[str]] = {}
    for page in pages(journal, named, opens=False):
        for row in page:
            batches.setdefault(row.name, []).append(row.batch)
    for name in named.names or ():
        if len(found := batches.get(name, [])) == 1:
            continue
        if found:
            where = ", ".join(quoted(each, 40) for each in found[:12])
            raise Refused(f"{quoted(name)} is in the batches {where}; choose one with --batch")
        inside = "" if choice.batch is None else f" in the batch {quoted(choice.batch)}"
        raise Refused(f"no flow is called {quoted(name)}{inside}; 'holdfast status' lists them")


def cancel(journal: SqlJournal, rows: Sequence[FlowRow], by: Actor) -> Iterator[Outcome]:
    """Ask these flows to end; tell of each whether it was asked, or had ended before."""
    from holdfast_journal import CANCEL

    by_id = {row.id: row for row in rows}
    asked: set[int] = set()
    for some in journal.ask_all(by_id.keys(), CANCEL, act=by.does("cancel")):
        asked |= some
        for each in some:
            yield Outcome(by_id[each], "will be cancelled", done=True)
    for each in sorted(by_id.keys() - asked):
        yield Outcome(by_id[each], "had ended before", done=False)


def extend(
    journal: SqlJournal, rows: Sequence[FlowRow], deadline: float, by: Actor
) -> Iterator[Outcome]:
    """Give these flows another deadline, in seconds since the epoch; infinity takes it away."""
    from holdfast.flows.requests import put_off

    by_id = {row.id: row for row in rows}
    until, became = "without a deadline", "has no deadline"
    if deadline != math.inf:
        until = f"until {datetime.fromtimestamp(deadline, UTC):%Y-%m-%d %H:%M:%SZ}"
        became = "has another deadline"
    act = by.does("extend", until)
    changed = journal.change(by_id.keys(), with_deadline(deadline), put_off(deadline), act=act)
    for some in changed:
        for each, why in some.items():
            yield Outcome(by_id[each], why or became, done=why is None)


def with_deadline(deadline: float) -> Callable[[bytes], bytes]:
    """Return what gives a flow's parameters another deadline, for `SqlJournal.change`."""
    from holdfast.errors import BadCheckpoint
    from holdfast.flows.document import Params

    wanted = None if deadline == math.inf else deadline

    def changed(params: bytes) -> bytes:
        try:
            return evolve(Params.from_bytes(params), deadline=wanted).to_bytes()
        except BadCheckpoint as error:
            raise ValueError(f"cannot be changed: {error}") from None

    return changed


@frozen
class Retry:
    """A retry of many flows, as a value: what was asked, and what is left of it in the database.

    Args:
        choice: which flows.
        force: also those whose recipients may have the secret.
    """

    choice: Choice
    force: bool = False

    @property
    def name(self) -> str:
        """The plan's name: the same for the same command."""
        said = json.dumps({**asdict(self.choice), "force": self.force}, sort_keys=True)
        return blake2b(said.encode(), digest_size=16).hexdigest()

    def interrupted(self, journal: SqlJournal) -> tuple[int, float | None]:
        """Return how many flows are left of the same command, and when it began."""
        return journal.planned(self.name)

    def plan(self, journal: SqlJournal, rows: Sequence[FlowRow]) -> None:
        """Write down, all at once, that these flows are to be retried."""
        journal.plan_retries(self.name, {row.id: row.attempt for row in rows})

    def carry_out(self, journal: SqlJournal, by: Actor) -> Iterator[Outcome]:
        """Retry what is planned and not done; each flow once, whoever was killed meanwhile."""
        from holdfast_journal import Filter

        for some in journal.retry_planned(self.name, act=by.does("retry")):
            ids = [each.id for each in some]
            rows = {row.id: row for row in journal.page(Filter(ids=ids), limit=len(ids)).rows}
            for each in some:
                if each.id in rows:  # otherwise it was purged
                    words = each.why_not or f"gets a new code: attempt {each.attempt}"
                    yield Outcome(rows[each.id], words, done=each.why_not is None)
