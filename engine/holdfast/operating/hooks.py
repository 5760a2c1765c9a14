"""Whom a flow tells of its code, its end and its trouble: what an operator may ask for."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.operating.minting import parse_command
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast.flows.hooks import Hooks
    from holdfast_journal import SqlJournal


@frozen
class AskedHooks:
    """What was asked for, checked.

    Args:
        words: for each event, the words of a command in which `{name}` may stand, or one URL.
    """

    words: Hooks = field(factory=dict, repr=False)

    def check_secret(self, environ: Mapping[str, str] = os.environ) -> None:
        """See that this process can sign what it posts, if it has to. Raises Refused."""
        if any(len(words) == 1 and _is_url(words[0]) for words in self.words.values()):
            from holdfast.flows.shipped.signing import BadHookSecret, secrets_in

            try:
                secrets_in(environ)
            except BadHookSecret as error:
                raise Refused(str(error)) from None

    @property
    def commands(self) -> Sequence[Sequence[str]]:
        """The words of those that are commands."""
        return [words for words in self.words.values() if not _is_url(words[0])]


NO_HOOKS: Final = AskedHooks()


def asked_hooks(given: Mapping[str, str | None]) -> AskedHooks:
    """Check what was given for each event: a command or a URL; None is left out. Raises Refused."""
    return AskedHooks(
        {event: _words(f"--on-{event}", text) for event, text in given.items() if text is not None}
    )


def untold(
    journal: SqlJournal,
    batch: str | None = None,
    names: Collection[str] | None = None,
    *,
    webhooks: bool = False,
) -> int:
    """Return how many messages of these flows are still to be delivered.

    Args:
        journal: where the flows are.
        batch: the batch of the flows.
        names: their names.
        webhooks: whether only those for URLs are meant.
    """
    from holdfast.flows.hooks import EVENTS
    from holdfast_journal import Filter, TaskFilter

    ways = ("webhook",) if webhooks else ("webhook", "command")
    tasks = [f"{way}-{event}" for way in ways for event in EVENTS]
    chosen = TaskFilter(flows=Filter(batch=batch, names=names), names=tasks)
    return sum(group.number for group in journal.task_groups(chosen))


def missing_secret(journal: SqlJournal, batch: str | None) -> str | None:
    """Say that messages wait for a secret which this process does not have; or None."""
    from holdfast.flows.shipped.signing import BadHookSecret, secrets_in

    number = untold(journal, batch, webhooks=True)
    if not number:
        return None
    what = "1 message for a webhook" if number == 1 else f"{number} messages for webhooks"
    try:
        secrets_in(os.environ)
    except BadHookSecret as error:
        return f"{what} cannot be sent: {error}"
    return None


def _words(option: str, text: str) -> Sequence[str]:
    if not _is_url(text):
        return parse_command(text, option)
    from holdfast.flows.shipped.signing import BadHookUrl, check_url

    # As typed in a shell's script, perhaps with a line end.
    url = text.strip()
    try:
        check_url(url)
    except BadHookUrl as error:
        raise Refused(f"{option}: {error}") from None
    return [url]


def _is_url(text: str) -> bool:
    return text.strip().lower().startswith(("https:", "http:"))
