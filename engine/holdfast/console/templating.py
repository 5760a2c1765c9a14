"""Jinja2 for pages: everything is escaped, and a value that is missing is an error."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from holdfast.operating.printable import printable
from holdfast.operating.standing import shown_status, since, went_badly

if TYPE_CHECKING:
    from jinja2 import Environment

    from holdfast_journal import FlowRow

FOLDER: Final = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Return the environment of all pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(shown=printable, moment=moment, iso=iso, ago=ago, address=address)
    made.filters.update(span=span, bytes=readable_size)
    functions: dict[str, Any] = {"status_of": shown_status, "since_of": since, "mood_of": mood}
    made.globals.update(functions)
    return made


def moment(at: float) -> str:
    """Return a time, in seconds since the epoch, as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at: float) -> str:
    """Return a time as programs read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(seconds: float) -> str:
    """Return how long something is ago, in its largest unit."""
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """Return a time in its largest unit."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def readable_size(size: int) -> str:
    """Return a number of bytes in its largest unit."""
    for length, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} B"


def address(path: str, **query: object) -> str:
    """Return the address of a page: a value may be a list; what is empty is left out."""
    pairs = [
        (name, str(each))
        for name, value in query.items()
        for each in (value if isinstance(value, list | tuple) else [value])
        if each not in (None, "")
    ]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def mood(row: FlowRow) -> str:
    """Return the class that a flow's status has in the style sheet: good, bad, or open."""
    if row.finished_at is None:
        return "bad" if row.trouble is not None else "open"
    return "bad" if went_badly(shown_status(row)) else "good" if row.status == "done" else "over"
