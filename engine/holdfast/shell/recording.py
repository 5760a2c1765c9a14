"""What goes into a journal that keeps a history: one entry for each event, in words and values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias, cast

from holdfast.core import describe
from holdfast.core import events as ev
from holdfast.core.codec import code_of, said_codes, to_json
from holdfast.core.frames import Frame
from holdfast_journal import History, IJournal

Heard: TypeAlias = tuple[tuple[ev.Event, bytes], ...]
"""What happened, in order, each with its seed."""


def comes_again(journal: IJournal) -> None:
    """Tell a journal that wants to know it that a server says again what led to this entry."""
    tell = getattr(journal, "comes_again", None)
    if tell is not None:
        tell()


def write_down(
    journal: IJournal,
    side: str,
    heard: Heard,
    frames: Sequence[Frame],
    dilation: str | None,
    *,
    changed: bool,
) -> None:
    """Record what happened to the wormhole of `side`, and what it says to that.

    If the journal keeps no history (`holdfast_journal.History`), this does nothing.

    Args:
        journal: the wormhole's.
        side: ours, in the mailbox.
        heard: what happened.
        frames: what is said to that.
        dilation: what has changed with its subchannels, in words; None if it is not dilated.
        changed: whether saying it changed the wormhole's state.
    """
    if not hasattr(journal, "record"):
        return
    history = cast(History, journal)
    said = [words for frame in frames if (words := describe.said(frame)) is not None]
    codes = said_codes(frames)
    if not heard and (said or changed):
        again = json.dumps({"said": codes}).encode()
        history.record("resume", heard="server: is up to date", said=said, event=again)
    elif dilation or (dilation is not None and not heard):
        # Whatever it was, it is durable only with an entry.
        words = f"subchannels: {dilation or 'as before'}"
        history.record("dilation", heard=words, said=(), event=b"")
    for place, (event, seed) in enumerate(heard, 1):
        last = place == len(heard)
        body = {"event": to_json(event), "seed": seed.hex(), "said": codes if last else []}
        history.record(
            code_of(event),
            heard=describe.heard(event, side),
            said=said if last else (),
            event=json.dumps(body).encode(),
        )
