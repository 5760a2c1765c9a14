"""Tables for people: aligned, sober, coloured on a terminal and plain in a pipe.

On a terminal what is too wide is folded; in a pipe nothing is, whatever its width.
"""

import io
import time
from collections.abc import Sequence

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

    Where the offset from UTC was not that of now, as before the change of the clock, it is shown:
    otherwise an hour would be there twice. ``at`` and ``now`` are seconds since the epoch.
    """
    then = time.localtime(at)
    today = time.localtime(now)
    return _moment(then, today) + (
        time.strftime(" %z", then) if then.tm_gmtoff != today.tm_gmtoff else ""
    )


def _moment(then: time.struct_time, today: time.struct_time) -> str:
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    if then.tm_year == today.tm_year:
        return time.strftime("%d %b %H:%M", then)
    return time.strftime("%d %b %Y", then)


def timestamp(at: float) -> str:
    """Return local time to the second, with its offset, ``2026-11-23 06:15:03+0100``."""
    return time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(at))


def iso(at: float | None) -> str | None:
    """Return UTC for programs, ``2026-11-23T06:15:03.042Z``; None stays None."""
    if at is None:
        return None
    milliseconds = round(at * 1000)
    written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{written}.{milliseconds % 1000:03}Z"


def counted(statuses: Sequence[str]) -> str:
    """Count statuses for a summary line, ``20 flows: 17 done, 3 waiting``."""
    counts: dict[str, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    parts = ", ".join(
        f"{number} {printable(status)}"
        for status, number in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    )
    flows = "1 flow" if len(statuses) == 1 else f"{len(statuses)} flows"
    return f"{flows}: {parts}"
