"""Waiting for the codes of flows that workers run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure, Unfinished
from holdfast.operating.adding import Codes
from holdfast.operating.printable import printable, quoted
from holdfast.operating.standing import shown_word

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal

USUAL: Final = 60.0
"""Seconds."""

_SHOWN: Final = 10
"""How many names are listed."""


def wait_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--wait-codes` and `--for`; the command gets `wait: float | None`, seconds."""

    @functools.wraps(command)
    def gathered(*args: Any, wait_codes: bool, seconds: float | None, **more: Any) -> Any:
        if seconds is not None and not wait_codes:
            raise Failure("--for: there is nothing to wait for without --wait-codes")
        wait = (USUAL if seconds is None else seconds) if wait_codes else None
        return command(*args, wait=wait, **more)

    options = click.option(
        "--for",
        "seconds",
        type=Duration(),
        metavar="DURATION",
        show_default="60s",
        help="Wait this long for codes at the latest.",
    )(gathered)
    return click.option(
        "--wait-codes",
        is_flag=True,
        help="Wait until a worker has made the codes, and print them: for a NAME the code alone,"
        " for PEOPLE a line each.",
    )(options)


def await_codes(
    journal: SqlJournal, batch: str, names: Sequence[str], wait: float | None, *, alone: bool
) -> None:
    """Print the codes as they come, if that is asked for; else say if no worker makes them.

    Raises Unfinished if not everybody got one.
    """
    if wait is None:
        if not any(each.alive for each in journal.workers()):
            say.tell("no worker runs now: 'holdfast run' makes the codes")
        return
    codes = Codes(journal, batch, names, wait)
    for name, code in codes:
        say.out(code if alone else f"{printable(name)}\t{code}")
    for name, row in list(codes.ended.items())[:_SHOWN]:
        say.tell(f"{quoted(name)} has no code: it is {shown_word(row.status)}")
    if codes.missing:
        raise Unfinished(
            f"the time is over, and {len(codes.missing)} of {len(names)} have no code yet; is"
            " 'holdfast run' running? The same command again waits for them"
        )
    if codes.ended:
        raise Unfinished(f"{len(codes.ended)} of {len(names)} are over, and have no code")
