"""What a command that changes many flows says of each, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.cli.failure import Failure, Unfinished
from holdfast.operating.printable import quoted

if TYPE_CHECKING:
    from holdfast.operating.bulk import Outcome, Selection
    from holdfast.operating.choosing import Choice
    from holdfast_journal import FlowRow, SqlJournal

NOTHING_CHOSEN = (
    "say which: a NAME or several, or options such as --batch or --status; --name '*' is everybody"
)

NOBODY = "No flow is like that."


def check_choice(journal: SqlJournal, choice: Choice) -> None:
    """Refuse to do something to all flows unasked, and a batch that there is not."""
    from holdfast.operating.finding import check_batch

    if not choice.says_anything:
        raise Failure(NOTHING_CHOSEN)
    if not choice.names:
        check_batch(journal, choice.batch)


def called(row: FlowRow, choice: Choice) -> str:
    """Name a flow, with its batch unless that is clear."""
    if choice.names or choice.batch is not None:
        return quoted(row.name, 200)
    return quoted(f"{row.batch}/{row.name}", 260)


def tell(outcomes: Iterable[Outcome], choice: Choice) -> tuple[int, int]:
    """Print a line for each; return how many there were, and for how many it was not done."""
    total = failed = 0
    for each in outcomes:
        total += 1
        failed += not each.done
        say.out(f"{called(each.row, choice)} {each.words}.")
    return total, failed


def refuse_the_only_one(found: Selection, choice: Choice) -> None:
    """If one flow was named and nothing can be done to it, say why and end with status 2."""
    if len(choice.names) == 1 and not found.rows and found.refused:
        [only] = found.refused
        raise Failure(f"{quoted(only.row.name)} {only.words}")


def tell_plan(found: Selection, choice: Choice, what: str) -> None:
    """Print what would become of each flow; `what` follows the word "would"."""
    for row in found.rows:
        say.out(f"{called(row, choice)} would {what}.")
    tell(found.refused, choice)
    if found.rows or found.refused:
        rest = f"{len(found.refused)} would stay as they are"
        say.out(f"{_flows(len(found.rows))} would {what}; {rest}.")
    else:
        say.out(NOBODY)


def conclude(total: int, failed: int, what: str) -> None:
    """Print how many there were. Raises Unfinished if it was not done for all of them."""
    if not total:
        say.out(NOBODY)
        return
    if total > 1:
        say.out(f"{_flows(total - failed)} {what}.")
    if failed:
        raise Unfinished(f"{failed} of {_flows(total)} stayed as they were")


def _flows(count: int) -> str:
    return "1 flow" if count == 1 else f"{count} flows"


def processes(journal: SqlJournal) -> Sequence[int]:
    """Return the process IDs of the workers that are alive."""
    return [each.pid for each in journal.workers() if each.alive]
