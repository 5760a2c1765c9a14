"""The moments of a flow's journal, to be drawn like a recording of message times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from holdfast.operating.story_words import TASK
from holdfast.timing import Moment

if TYPE_CHECKING:
    from holdfast_journal import EntryRow

_HEARD: Final = ("server: ", "peer: ")
_ASKED: Final = ("application: ", "flow: ", "dilation: ")


def moments(entries: Iterable[EntryRow]) -> list[Moment]:
    """Return what came in and what went out, in order; both were recorded in one moment."""
    found = []
    for entry in entries:
        heard = entry.heard or entry.kind
        found.append(Moment(entry.at, _way(entry.kind, heard), heard))
        for said in entry.said:
            found.append(Moment(entry.at, "told" if TASK.fullmatch(said) else "said", said))
    return found


def _way(kind: str, heard: str) -> str:
    if heard.startswith(_HEARD):
        return "heard"
    return "asked" if kind == "task" or heard.startswith(_ASKED) else "connection"
