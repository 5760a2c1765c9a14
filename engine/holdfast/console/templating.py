"""Jinja2 for pages: everything is escaped, and a value that is missing is an error."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from holdfast.operating.durations import in_words
from holdfast.operating.printable import printable
from holdfast.operating.standing import shown_status, since, went_badly
from holdfast.operating.tasks import shown_state
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from holdfast.operating.story import Step
    from holdfast_journal import FlowRow

AT_ONCE: Final = 0.05
"""Seconds that are not worth showing."""

OVER: Final = frozenset(each.shown for each in FlowStatus if each.is_over)

FOLDER: Final = Path(__file__).parent / "templates"

LONGEST: Final = 1e11
"""Seconds; what is longer ago is not a time of ours."""


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
    made.filters.update(after=after, live_rows=live_rows, task_state=shown_state)
    functions: dict[str, Any] = {
        "status_of": shown_status,
        "since_of": since,
        "mood_of": mood,
        "mood_of_word": mood_of_word,
    }
    made.globals.update(functions)
    return made


def moment(at: float) -> str:
    """Return a time, in seconds since the epoch, as people read it."""
    return _written(at, "%Y-%m-%d %H:%M:%S UTC")


def iso(at: float) -> str:
    """Return a time as programs read it."""
    return _written(at, "%Y-%m-%dT%H:%M:%SZ")


def _written(at: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):  # another program has put it into the database
        return "not a time"


def ago(seconds: float) -> str:
    """Return how long something is ago, in its largest unit."""
    if not seconds < LONGEST:
        return "long ago"
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """Return a time in its largest unit."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if length <= seconds < LONGEST:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s" if seconds < LONGEST else "very long"


def readable_size(size: int) -> str:
    """Return a number of bytes in its largest unit."""
    for length, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} B"


def after(step: Step) -> str:
    """Return how long after the step before, if that is worth showing."""
    return f"+{in_words(step.after)}" if step.after and step.after >= AT_ONCE else ""


def live_rows(rows: Sequence[FlowRow]) -> str:
    """Return the address of a stream that says how these flows go on."""
    return "/live?rows=" + ",".join(f"{row.id}.{row.seq}" for row in rows)


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
    return mood_of_word(shown_status(row))


def mood_of_word(word: str) -> str:
    """Return the class of a status, as operators see it."""
    if word not in OVER:
        return "open"
    return "bad" if went_badly(word) else "good" if word == FlowStatus.DONE else "over"
