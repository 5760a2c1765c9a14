"""A code as a picture for a phone's camera."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen
from rich.cells import cell_len

from holdfast.cli import say
from holdfast.operating.collecting import transfer_uri
from holdfast.operating.kept import Kept, kept_by
from holdfast.operating.qr import qr_blocks
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal

_WHITE_ON_BLACK = "\x1b[97;40m"
_PLAIN = "\x1b[0m"


@frozen
class Pictures:
    """The pictures of a batch.

    Args:
        usual: the terms of its flows.
        others: those of flows that were started with other terms, by name.
    """

    usual: Kept
    others: Mapping[str, Kept] = field(factory=dict)

    def of(self, name: str, code: str) -> str:
        """Return the picture of somebody's code, or a line that says why it cannot be shown."""
        kept = self.others.get(name, self.usual)
        try:
            uri = transfer_uri(code, kept.relay, kept.appid)
        except Refused as refused:
            return f"(no picture: {refused.words})"
        return fitting_picture(uri)


def pictures_of(journal: SqlJournal, usual: Kept, batch: str, existing: int) -> Pictures | None:
    """Return the pictures of a batch; None if standard output is no terminal.

    Args:
        journal: where its flows are.
        usual: the terms of flows that are started now.
        batch: the batch.
        existing: how many of its flows were started before, maybe with other terms.
    """
    if not sys.stdout.isatty():
        return None
    if not existing:
        return Pictures(usual)
    kept = {
        row.name: kept_by(journal, row)
        for row in journal.overview(batch=batch)
        if row.finished_at is None
    }
    return Pictures(usual, {name: each for name, each in kept.items() if each is not None})


def picture_of(uri: str) -> str:
    """Return the QR code of an address, as lines for a terminal.

    Each line sets its colours, because scanners need dark on light, and the terminal's own may be
    light on dark. Raises `Refused` if it cannot be drawn.
    """
    return "".join(f"{_WHITE_ON_BLACK}{line}{_PLAIN}\n" for line in qr_blocks(uri))


def fitting_picture(uri: str) -> str:
    """Return the picture of an address, or a line that says why standard output cannot show it.

    A picture that is wrapped or escaped still looks like one, but cameras cannot read it.
    """
    try:
        picture = picture_of(uri)
    except Refused as refused:
        return f"(no picture: {refused.words})"
    try:
        picture.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "(no picture: this terminal's encoding lacks its blocks)"
    line = picture.partition("\n")[0]
    width = cell_len(line.removeprefix(_WHITE_ON_BLACK).removesuffix(_PLAIN))
    if width > say.terminal_columns(sys.stdout):
        return f"(no picture: it needs a terminal of {width} columns)"
    return picture
