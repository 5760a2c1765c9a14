"""Tables for people: aligned and plain, and coloured on a terminal only.

On a terminal that is too narrow, wide cells are folded; then columns that can be spared are left
out; then each row becomes lines of its own. So no name is ever cut or lost. In a pipe, nothing is
folded or left out.
"""

import io
import sys
from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from holdfast.operating.printable import printable
from holdfast.operating.standing import went_badly
from holdfast_journal import FlowStatus

_PIPE_WIDTH = 1_000_000
_NARROWEST = 10
"""The fewest columns of a terminal that a folding column keeps."""


class Table(RichTable):
    """A table without lines; give it columns with `column`."""

    def __init__(self) -> None:
        super().__init__(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        self.spared: list[str] = []
        """The titles of columns that can be left out, the last one first."""

    def only(self, columns: Sequence[Column]) -> "Table":
        """Return the same table with some of its columns."""
        narrower = copy(self)
        narrower.columns = [replace(each, _index=place) for place, each in enumerate(columns)]
        return narrower


def new_table() -> Table:
    """Return a table without lines; give it columns with `column`."""
    return Table()


def column(
    table: Table, title: str, *, folds: bool = False, right: bool = False, spare: bool = False
) -> None:
    """Add a column. On a narrow terminal one that folds gives way; the others stay whole.

    One that can be spared is left out if there is no room for it.
    """
    if spare:
        table.spared.append(title)
    table.add_column(
        title,
        no_wrap=not folds,
        overflow="fold",
        justify="right" if right else "left",
    )


def cell(text: str, style: str = "", *, whole: bool = False) -> Text:
    """Return a cell, which neither Rich's markup nor the terminal interprets.

    A `whole` cell is not folded, even if its column is.
    """
    encoding = sys.stdout.encoding or "utf-8"
    # Escaped before it is measured.
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    return Text(shown, style=style, no_wrap=True if whole else None)


def status_cell(word: str) -> Text:
    """Return the word for a flow's status, green if it ended well and red if it did not."""
    style = "green" if word == FlowStatus.DONE else "red" if went_badly(word) else ""
    return cell(word, style)


def show(table: Table) -> None:
    """Write a table to standard output."""
    console = Console(highlight=False)
    if console.is_terminal:
        if (fitting := _fitting(table, console.width)) is not None:
            console.print(fitting)
        else:
            _show_rows(console, table)
        return
    written = io.StringIO()
    Console(file=written, highlight=False, width=_PIPE_WIDTH, color_system=None).print(table)
    click.echo("\n".join(line.rstrip() for line in written.getvalue().splitlines()))


def _fitting(table: Table, width: int) -> Table | None:
    """Return the table, perhaps with fewer columns, so that it fits; None if it cannot."""
    columns, spared = list(table.columns), list(table.spared)
    while _needed(table.only(columns)) > width:
        if not spared:
            return None
        title = spared.pop()
        columns = [each for each in columns if each.header != title]
    return table.only(columns)


def _needed(table: Table) -> int:
    """Return how many columns a table needs so that nothing that must stay whole is cut."""
    padding = 2
    width = 0
    for each in table.columns:
        cells = [each.header, *each.cells] if table.show_header else list(each.cells)
        width += padding + max(
            (_widest(content, folds=not each.no_wrap) for content in cells), default=0
        )
    return width - padding


def _widest(content: object, *, folds: bool) -> int:
    """Return how many columns one cell needs."""
    widest = max(cell_len(line) for line in str(content).split("\n"))
    stays_whole = not folds or (isinstance(content, Text) and content.no_wrap)
    return widest if stays_whole else min(widest, _NARROWEST)


def _show_rows(console: Console, table: Table) -> None:
    """Write each cell as a line after its title; the terminal wraps longer ones."""
    rows = zip(*(each.cells for each in table.columns), strict=True)
    for number, row in enumerate(rows):
        if not table.show_header:  # the first cell is the title
            console.print(Text("  ").join(_text(each) for each in row), soft_wrap=True)
            continue
        if number:
            console.print()
        for each, content in zip(table.columns, row, strict=True):
            if str(content):
                title = Text.assemble((str(each.header), "bold"), "  ")
                console.print(title.append_text(_text(content)), soft_wrap=True)


def _text(content: object) -> Text:
    return content if isinstance(content, Text) else Text(str(content))
