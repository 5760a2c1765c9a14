"""What a page's form or a program wishes for many flows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.console.answers import Wrong
from holdfast.console.choosing import choice_from
from holdfast.operating.choosing import Choice
from holdfast.operating.jobs import What, Wish

CHOICE: Final = ("q", "status", "kind", "batch", "since", "name")
"""The fields that choose flows by what they are; `uid` chooses them one by one."""

_UID: Final = re.compile(r"[0-9a-f]{32}")


def wish_of(
    what: str,
    said: Mapping[str, Sequence[str]],
    *,
    everything: bool,
    force: bool = False,
    deadline: float | None = None,
) -> Wish:
    """Return what is wished. Raises Wrong, and Refused.

    Args:
        what: a word of `What`.
        said: the fields that choose flows, by their names.
        everything: whether all flows are meant that match, and not those of the field `uid`.
        force: also those whose recipients may have the secret.
        deadline: in seconds since the epoch.
    """
    try:
        meant = What(what)
    except ValueError:
        raise Wrong(400, f"There is {', '.join(What)} to be done to flows.") from None
    if everything:
        chosen = choice_from({name: said.get(name, ()) for name in CHOICE})
        return Wish(meant, chosen, force=force, deadline=deadline)
    uids = [checked_uid(each) for each in said.get("uid", ())]
    if not uids:
        raise Wrong(400, "No flow was chosen.")
    return Wish(meant, Choice(), uids, force=force, deadline=deadline)


def checked_uid(said: str) -> str:
    """Return the uid of a flow or a job, if it is one. Raises Wrong."""
    if _UID.fullmatch(said) is None:
        raise Wrong(400, "This is not a uid.")
    return said
