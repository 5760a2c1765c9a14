"""Whom a flow tells of its code, its end and its trouble: what an operator may ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.operating.minting import parse_command
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast.flows.hooks import Hooks


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
            from holdfast.flows.shipped.webhook import BadHookSecret, secrets_in

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


def _words(option: str, text: str) -> Sequence[str]:
    if not _is_url(text):
        return parse_command(text, option)
    from holdfast.flows.shipped.webhook import BadHookUrl, check_url

    # As typed in a shell's script, perhaps with a line end.
    url = text.strip()
    try:
        check_url(url)
    except BadHookUrl as error:
        raise Refused(f"{option}: {error}") from None
    return [url]


def _is_url(text: str) -> bool:
    return text.strip().lower().startswith(("https:", "http:"))
