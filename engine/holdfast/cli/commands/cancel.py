"""`holdfast cancel`: end a flow that nobody has collected, and free its code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.settings import db_option
from holdfast.operating.printable import quoted
from holdfast.operating.standing import shown_word
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

PATIENCE = 10.0
"""Seconds to wait for the mailbox server to free the code."""


@click.command()
@click.argument("name")
@click.option("--batch", metavar="BATCH", help="The batch, if NAME is in several.")
@db_option
def command(name: str, batch: str | None, db: str) -> None:
    """End a flow that nobody has collected.

    Frees its code and makes its secret unreadable. If no other process runs the flow, this command
    tells the mailbox server itself; if the server cannot be reached, the next 'holdfast run' does.
    """
    from holdfast.cli.serving import serving
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import one_flow
    from holdfast.operating.service import EVERYWHERE, ONE_COMMANDS, Ending

    with existing_journal(db, say.tell) as journal:
        flow = one_flow(journal, name, batch)
        if not journal.ask(flow.name, flow.batch, "cancel"):
            raise Failure(f"{quoted(flow.name)} has ended already ({shown_word(flow.status)})")
    ended: list[FlowRow] = []

    def watch(moved: Sequence[FlowRow]) -> bool:
        ended.extend(row for row in moved if row.id == flow.id and row.finished_at is not None)
        return bool(ended)

    with serving(db, serve=(*EVERYWHERE, ONE_COMMANDS)) as service:
        ending = service.run(watch, batch=flow.batch, names={flow.name}, seconds=PATIENCE)
    if ended:
        if ended[0].status != FlowStatus.CANCELLED:
            word = shown_word(ended[0].status)
            raise Unfinished(f"{quoted(flow.name)} had ended before ({word})")
        say.out(f"{quoted(flow.name, 200)} is cancelled.")
        return
    when = "stopped waiting" if ending is Ending.SIGNAL else "the server has not answered yet"
    raise Unfinished(
        f"{quoted(flow.name)} will be cancelled, but {when}; the next 'holdfast run' continues"
    )
