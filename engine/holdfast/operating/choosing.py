"""Which flows an operator means, in the operator's words."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from holdfast.operating.people import same_name
from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused
from holdfast_journal import CANCELLING, FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import Filter

_OPEN = [each for each in FlowStatus if not each.is_over]
_OVER = [each for each in FlowStatus if each.is_over]

WORDS: Final[Mapping[str, Collection[str]]] = {
    **{each.shown: [each.value] for each in FlowStatus},
    FlowStatus.SCARED.value: [FlowStatus.SCARED.value],
    CANCELLING: [CANCELLING],
    "unfinished": [*(each.value for each in _OPEN), CANCELLING],
    "ended": [each.value for each in _OVER],
    "ended badly": [each.value for each in _OVER if each.went_badly],
}
"""The words by which flows can be chosen, and what each means in the database."""


@frozen
class Choice:
    """What an operator says of the flows that they mean. An empty value says nothing.

    Args:
        names: exactly these flows, which must exist.
        statuses: words of WORDS; blanks may be hyphens.
        kinds: the kinds of flows.
        batch: the name of a batch.
        glob: a pattern of names, in which `*` is any text and `?` one character.
        since: seconds; flows that moved or ended within so many before now.
    """

    names: Sequence[str] = ()
    statuses: Sequence[str] = ()
    kinds: Sequence[str] = ()
    batch: str | None = None
    glob: str | None = None
    since: float | None = None

    @property
    def says_anything(self) -> bool:
        """Whether it chooses some of all flows."""
        return self != Choice()

    @property
    def is_by_filter(self) -> bool:
        """Whether it chooses by more than name and batch."""
        return evolve(self, names=(), batch=None).says_anything

    def filter(self) -> Filter:
        """Return what the database is asked. Raises `Refused` for a status that there is not."""
        from holdfast_journal import Filter

        words = [_meant(word) for word in self.statuses]
        return Filter(
            statuses=sorted({each for word in words for each in word}) if words else None,
            kinds=self.kinds or None,
            batch=self.batch,
            names=[same_name(each) for each in self.names] or None,
            glob=None if self.glob is None else same_name(self.glob),
            since=None if self.since is None else time.time() - self.since,
        )


def _meant(word: str) -> Collection[str]:
    found = WORDS.get(" ".join(word.strip().lower().replace("-", " ").split()))
    if found is None:
        raise Refused(f"there is no status {quoted(word)}; there are {', '.join(WORDS)}")
    return found
