"""How many flows stand how, in the words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from holdfast.operating.service import ONE_COMMANDS
from holdfast.operating.standing import is_due_soon, shown_word

if TYPE_CHECKING:
    from holdfast_journal import Group, SqlJournal


@frozen
class Summary:
    """What is said of many flows together."""

    counts: Mapping[str, int]
    """How many there are, by the word that operators see."""
    unloaded: int
    """How many of them wait for a worker that can load them."""
    unserved: bool
    """Whether some are not over and any worker could run them, but none does."""
    contacts: Mapping[str, int]
    """How many of those that have begun and are not over hear of their recipients in each way."""

    @property
    def total(self) -> int:
        """How many flows there are."""
        return sum(self.counts.values())

    @property
    def contact_words(self) -> str:
        """See `contact_words`."""
        return contact_words(self.contacts)


def summary(groups: Sequence[Group], journal: SqlJournal) -> Summary:
    """Say what is to be said of these flows of a journal. Raises DatabaseUnusable."""
    counts = Counter[str]()
    for each in groups:
        counts[shown_word(each.status)] += each.number
    to_be_run = [each for each in groups if not each.finished and each.kind not in ONE_COMMANDS]
    served = any(
        each.owner_alive or (each.owner_alive is None and is_due_soon(each.wake_at))
        for each in to_be_run
    )
    if not served and any(each.watched for each in to_be_run):
        # Nobody has them; who is there hears when something comes for them.
        served = any(worker.alive for worker in journal.serving())
    return Summary(
        counts,
        sum(each.unloaded for each in groups),
        unserved=bool(to_be_run) and not served,
        contacts=contacts(groups),
    )


def contact_words(contacts: Mapping[str, int]) -> str:
    """Say how many there are, or nothing if all are connected, as on a small server they are.

    Such as `11940 watched, 40 visited, 20 connected`: short, for the narrow screen of a telephone.
    """
    if not contacts["watched"] and not contacts["visited"]:
        return ""
    return ", ".join(f"{number} {way}" for way, number in contacts.items())


def contacts(groups: Sequence[Group]) -> Mapping[str, int]:
    """How many flows hear of their recipients in each way, of those that are under way.

    A mailbox server that offers it watches for them; or they are visited in turn; or a living
    worker runs them, which keeps them connected.
    """
    found = {"watched": 0, "visited": 0, "connected": 0}
    for each in groups:
        if each.watched:
            found["watched"] += each.number
        elif each.owner_alive:
            found["connected"] += each.number
        found["visited"] += each.parked
    return found
