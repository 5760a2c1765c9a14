"""`holdfast cancel`: end flows that nobody has collected, and free their codes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click
from attrs import define, field

from holdfast.cli import outcomes, say
from holdfast.cli.choosing import choosing_options, dry_run_option, names_argument, why_option
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.settings import db_option
from holdfast.cli.tor import AskedTor, tor_options
from holdfast.operating.printable import quoted
from holdfast.operating.standing import shown_word
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.operating.choosing import Choice
    from holdfast.rendezvous.tor import TorManager
    from holdfast_journal import FlowRow

PATIENCE = 10.0
"""Seconds to wait for the mailbox server to free a code."""

PATIENCE_FOR_EACH = 0.05
"""Seconds more for each further code."""

LONGEST_SILENCE = 30.0
"""Seconds in which a server that is there frees at least one of many codes."""


@click.command()
@names_argument
@choosing_options
@dry_run_option
@why_option
@click.option("--yes", is_flag=True, help="Do not ask before flows are cancelled by options.")
@tor_options
@db_option
def command(choice: Choice, dry_run: bool, why: str, yes: bool, tor: AskedTor, db: str) -> None:
    """End flows that nobody has collected.

    Names them, or chooses them with the options. Frees their codes and makes their secrets
    unreadable. If no other process runs the flows, this command tells the mailbox server itself; if
    the server cannot be reached, the next 'holdfast run' does.
    """
    from holdfast.operating.audit import operator
    from holdfast.operating.bulk import cancel, select
    from holdfast.operating.database import existing_journal
    from holdfast.operating.rules import why_not_cancel

    through = None if dry_run else tor.found()
    with existing_journal(db, say.tell, looks=dry_run) as journal:
        outcomes.check_choice(journal, choice)
        found = select(journal, choice, why_not_cancel)
        outcomes.refuse_the_only_one(found, choice)
        if dry_run:
            outcomes.tell_plan(found, choice, "be cancelled")
            return
        if found.rows and not choice.names and not yes:
            _ask(len(found.rows))
        asked = list(cancel(journal, found.rows, operator(why)))
    refused, _ = outcomes.tell(found.refused, choice)
    late, _ = outcomes.tell((each for each in asked if not each.done), choice)
    ends = Ends(choice, {each.row.id: each.row for each in asked if each.done})
    total = len(ends.waiting)
    if total:
        ends.wait(db, through)
    outcomes.conclude(total + refused + late, ends.otherwise + refused + late, "are cancelled")


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise Failure("this cancels flows for good: say --yes, or look first with --dry-run")
    many = "1 flow" if count == 1 else f"{count} flows"
    click.echo(f"This cancels for good: {many}. What is secret in it becomes unreadable.")
    if not click.confirm("Go on?", default=False):
        raise Unfinished("nothing was cancelled")


@define
class Ends:
    """Waits for the ends of flows that were asked to end, and tells of each.

    Args:
        choice: how they were chosen.
        waiting: those that have not ended, by their ids.
        clock: seconds of a clock that never jumps.
    """

    choice: Choice
    waiting: dict[int, FlowRow]
    clock: Callable[[], float] = time.monotonic
    otherwise: int = field(default=0, init=False)
    """How many ended in another way."""
    _until: float | None = field(default=None, init=False)
    """When it is over, unless one of them ends before, by the clock; None before the first look."""

    def wait(self, db: str, tor: TorManager | None) -> None:
        """Serve the flows that nobody else serves until all have ended.

        Raises Unfinished if some have not.
        """
        from holdfast.cli.serving import serving
        from holdfast.operating.ending import Ending
        from holdfast.operating.service import EVERYWHERE, ONE_COMMANDS, Work

        names = {row.name for row in self.waiting.values()}
        batches = {row.batch for row in self.waiting.values()}
        batch = batches.pop() if len(batches) == 1 else None
        seconds = PATIENCE + PATIENCE_FOR_EACH * len(self.waiting)
        with serving(db, Work((*EVERYWHERE, *ONE_COMMANDS), tor=tor)) as service:
            ending = service.run(self.watch, batch=batch, names=names, seconds=seconds)
        if not self.waiting:
            return
        when = "stopped waiting" if ending is Ending.SIGNAL else "the server has not answered yet"
        left = list(self.waiting.values())
        who = quoted(left[0].name) if len(left) == 1 else f"{len(left)} flows"
        raise Unfinished(f"{who} will be cancelled, but {when}; the next 'holdfast run' continues")

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        """Tell of those that have ended; return whether to wait no longer."""
        before = len(self.waiting)
        for row in moved:
            if row.finished_at is None or self.waiting.pop(row.id, None) is None:
                continue
            cancelled = row.status == FlowStatus.CANCELLED
            self.otherwise += not cancelled
            what = "is cancelled" if cancelled else f"had ended before ({shown_word(row.status)})"
            say.out(f"{outcomes.called(row, self.choice)} {what}.")
        now = self.clock()
        if len(self.waiting) < before or self._until is None:
            self._until = now + LONGEST_SILENCE
        return not self.waiting or now > self._until
