"""Texts: how they are offered, and how long they may be.

A text goes through the mailbox, in the offer itself (file-transfer-protocol.md, "Sender").
"""

from __future__ import annotations

import json

from holdfast.transfer import APPID as APPID
from holdfast.transfer import LONGEST_ENCODED as LONGEST_ENCODED
from holdfast.transfer import LONGEST_TEXT as LONGEST_TEXT


def encoded_size(text: str) -> int:
    """Return how many bytes `text` takes in its message."""
    return len(_json(text).encode("utf-8", "surrogatepass"))


def without_line_end(text: str) -> str:
    """Return `text` without one line end, LF or CRLF, at its end.

    For input from a terminal or a pipe, where the last line end belongs to the line and not to the
    text. A carriage return alone is not a line end.
    """
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def offer(text: str) -> bytes:
    """Return the message that hands over `text`."""
    return _json({"offer": {"message": text}}).encode("utf-8", "surrogatepass")


def _json(value: object) -> str:
    # Not escaped to ASCII: that would make six bytes of a letter that is two.
    return json.dumps(value, ensure_ascii=False)
