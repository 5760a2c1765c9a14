"""Which flows a page's address means: the same words as the options of the commands."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from holdfast.console.answers import Wrong
from holdfast.console.asked import Asked
from holdfast.operating.choosing import Choice
from holdfast.operating.durations import parse_duration
from holdfast_journal import Cursor, Sort

if TYPE_CHECKING:
    from collections.abc import Sequence


def choice_of(asked: Asked) -> Choice:
    """Return the flows that the address chooses. Raises Wrong.

    `q` is a part of a name, or a pattern if a `*` or `?` is in it; `status` and `kind` may stand
    there several times; `since` is a duration.
    """
    return choice_from(asked.query)


def choice_from(query: Mapping[str, Sequence[str]]) -> Choice:
    """Return the flows that these words choose, as an address has them. Raises Wrong."""

    def one(name: str) -> str:
        return next(iter(query.get(name, ())), "").strip()

    words, since = one("q"), one("since")
    try:
        seconds = parse_duration(since) if since else None
    except ValueError as error:
        raise Wrong(400, f"since: {error}") from None
    return Choice(
        names=[each for each in query.get("name", ()) if each],
        statuses=[each for each in query.get("status", ()) if each],
        kinds=[each for each in query.get("kind", ()) if each],
        batch=one("batch") or None,
        glob=_glob(words) if words else None,
        since=seconds,
    )


KEPT: Final = ("q", "status", "kind", "batch", "since", "name", "sort", "limit")


def kept(asked: Asked) -> dict[str, list[str]]:
    """Return what the address says of a choice, for links that keep it: `address(path, **it)`."""
    return {name: found for name in KEPT if (found := list(asked.many(name)))}


def sort_of(asked: Asked) -> Sort:
    """Return the order that the address asks for. Raises Wrong."""
    said = asked.one("sort") or Sort.TROUBLE.value
    try:
        return Sort(said)
    except ValueError:
        raise Wrong(400, f"sort: there is {', '.join(Sort)}") from None


def cursor_text(cursor: Cursor | None) -> str:
    """Return where a page ended, as text for an address; empty for the last page."""
    if cursor is None:
        return ""
    said = json.dumps([cursor.part, cursor.key, cursor.id])
    return urlsafe_b64encode(said.encode()).decode().rstrip("=")


def cursor_of(text: str) -> Cursor | None:
    """Return where the page before ended. Raises Wrong for a text that is not ours."""
    if not text:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        match json.loads(urlsafe_b64decode(padded.encode())):
            case [int(part), float() | int() | str() as key, int(flow)] if (
                0 <= part < 10 and 0 <= flow < 2**62 and not isinstance(key, bool)
            ):
                return Cursor(part, key, flow)
    except (ValueError, Error, RecursionError):
        pass
    raise Wrong(400, "after: this is not the end of a page")


def _glob(words: str) -> str:
    return words if "*" in words or "?" in words else f"*{words}*"
