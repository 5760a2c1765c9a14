"""How many flows stand how, in the words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from holdfast.operating.service import ONE_COMMANDS
from holdfast.operating.standing import is_due_soon, shown_word

if TYPE_CHECKING:
    from holdfast_journal import Group


@frozen
class Summary:
    """What is said of many flows together."""

    counts: Mapping[str, int]
    """How many there are, by the word that operators see."""
    unloaded: int
    """How many of them wait for a worker that can load them."""
    unserved: bool
    """Whether some are not over and any worker could run them, but none does."""

    @property
    def total(self) -> int:
        """How many flows there are."""
        return sum(self.counts.values())


def summary(groups: Sequence[Group]) -> Summary:
    """Say what is to be said of these flows."""
    counts = Counter[str]()
    for each in groups:
        counts[shown_word(each.status)] += each.number
    to_be_run = [each for each in groups if not each.finished and each.kind not in ONE_COMMANDS]
    served = any(
        each.owner_alive or (each.owner_alive is None and is_due_soon(each.wake_at))
        for each in to_be_run
    )
    return Summary(
        counts, sum(each.unloaded for each in groups), unserved=bool(to_be_run) and not served
    )
