"""`holdfast retry`: a new code for a flow that did not end well."""

from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.cli.settings import db_option
from holdfast.operating.printable import quoted
from holdfast.operating.standing import shown_word
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow


@click.command()
@click.argument("name")
@click.option("--batch", metavar="BATCH", help="The batch, if NAME is in several.")
@click.option("--force", is_flag=True, help="Retry even if the secret may have arrived already.")
@db_option
def command(name: str, batch: str | None, force: bool, db: str) -> None:
    """Give a flow that failed a new code.

    The old code stops working. The running worker, or the next one, continues with the new one.
    """
    from holdfast.operating.database import existing_journal
    from holdfast.operating.finding import one_flow
    from holdfast_journal.errors import NotRetryable

    with existing_journal(db, say.tell) as journal:
        flow = one_flow(journal, name, batch)
        _refuse(flow, force)
        try:
            journal.retry(flow.name, flow.batch)
        except NotRetryable as error:
            raise Failure(str(error)) from None
        served = [each for each in journal.workers() if each.alive]
    click.echo(f"{quoted(flow.name, 200)} gets a new code: attempt {flow.attempt + 1}.")
    if served:
        processes = ", ".join(str(each.pid) for each in served)
        click.echo(
            f"Process {processes} is running, and continues with it if it serves this batch."
        )
    else:
        click.echo("To continue, start 'holdfast run', or the command that started it.")


def _refuse(flow: "FlowRow", force: bool) -> None:
    if flow.finished_at is None:
        raise Failure(
            f"{quoted(flow.name)} is still running ({shown_word(flow.status)});"
            " 'holdfast cancel' ends it"
        )
    if flow.status == FlowStatus.CANCELLED:
        raise Failure(
            f"{quoted(flow.name)} was cancelled, which made its secret unreadable; to start it"
            " again, give it another name or another --batch"
        )
    if (flow.published or {}).get("sent") and not force:
        raise Failure(
            f"{quoted(flow.name)} may have the secret already: it was sent, and its receipt was"
            " never confirmed; ask, and use --force to send it once more"
        )
