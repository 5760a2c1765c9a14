"""Tables for people: aligned, sober, coloured on a terminal and plain in a pipe.

On a terminal what is too wide is folded; in a pipe nothing is, whatever its width.
"""

import io
import time
from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.cli.printable import printable

_PIPE_WIDTH = 1_000_000
_GOOD = frozenset({"done"})
_BAD = frozenset({"scared", "failed", "crowded", "code lost", "expired", "damaged"})


def new_table() -> Table:
    """Return a table without lines; give it columns with :func:`column`."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def column(table: Table, title: str, *, folds: bool = False, right: bool = False) -> None:
    """Add a column. One that folds gives way on a narrow terminal; the others stay whole."""
    table.add_column(
        title,
        no_wrap=not folds,
        overflow="fold",
        justify="right" if right else "left",
    )


def cell(text: str, style: str = "") -> Text:
    """Return a cell: shown as it is, never obeyed as markup or by the terminal."""
    return Text(printable(text), style=style)


def status_cell(status: str) -> Text:
    """Return a flow's status, green if it went well and red if it did not."""
    style = "green" if status in _GOOD else "red" if status in _BAD else ""
    return cell(status, style)


def show(table: Table) -> None:
    """Write a table to standard output."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
        return
    written = io.StringIO()
    Console(file=written, highlight=False, width=_PIPE_WIDTH, color_system=None).print(table)
    click.echo("\n".join(line.rstrip() for line in written.getvalue().splitlines()))


def moment(at: float, now: float | None = None) -> str:
    """Say when something was, in local time and few columns: the nearer, the finer.

    ``at`` and ``now`` are seconds since the epoch.
    """
    then = time.localtime(at)
    today = time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    if then.tm_year == today.tm_year:
        return time.strftime("%d %b %H:%M", then)
    return time.strftime("%d %b %Y", then)


def timestamp(at: float) -> str:
    """Return local time to the second, ``2026-11-23 06:15:03``."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def iso(at: float | None) -> str | None:
    """Return UTC for programs, ``2026-11-23T06:15:03.042Z``; None stays None."""
    if at is None:
        return None
    milliseconds = round(at * 1000)
    written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{written}.{milliseconds % 1000:03}Z"


def counted(counts: Mapping[str, int]) -> str:
    """Say how many flows have each status: ``20 flows: 17 done, 3 waiting``."""
    total = sum(counts.values())
    parts = ", ".join(
        f"{number} {printable(status)}"
        for status, number in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    )
    flows = "1 flow" if total == 1 else f"{total} flows"
    return f"{flows}: {parts}"
