"""The messages with which the stock client hands over a text.

They are those of file-transfer-protocol.md, "Sender" and "Recipient" (magic-wormhole-protocols).

The sender says `{"offer": {"message": TEXT}}`, the receiver `{"answer": {"message_ack": "ok"}}`,
and either may say `{"error": WORDS}`.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from attrs import field, frozen

from holdfast.core.messages import parse_json_object
from holdfast.transfer import APPID as APPID
from holdfast.transfer import LONGEST_ENCODED as LONGEST_ENCODED
from holdfast.transfer import LONGEST_TEXT as LONGEST_TEXT


def encoded_size(text: str) -> int:
    """Return how many bytes `text` takes in its message."""
    return len(_json(text).encode("utf-8", "surrogatepass"))


@frozen
class TextOffer:
    """The peer hands over a text."""

    text: str = field(repr=False)


@frozen
class OtherOffer:
    """The peer wants to hand over something that is not a text, such as a file."""


@frozen
class Accepted:
    """The peer has the text."""


@frozen
class PeerSaysNo:
    """The peer reports an error, in its own words."""

    error: str


TextMessage: TypeAlias = TextOffer | OtherOffer | Accepted | PeerSaysNo


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


def accept() -> bytes:
    """Return the message that says that the text arrived."""
    return json.dumps({"answer": {"message_ack": "ok"}}).encode()


def refuse(why: str) -> bytes:
    """Return the message that says that the text will not be accepted."""
    return json.dumps({"error": why}).encode()


def read(message: bytes) -> TextMessage | None:
    """Return what the peer said, or None if it belongs to another protocol.

    Raises:
        ValueError: it is malformed.
    """
    said = parse_json_object(message, "the peer's message")
    if "error" in said:
        words = str(said["error"])
        return PeerSaysNo("".join(c if c.isprintable() else " " for c in words[:200]))
    if "offer" in said:
        offered = said["offer"]
        if not isinstance(offered, dict):
            raise ValueError("the peer's offer is malformed")
        if "message" not in offered:
            return OtherOffer()
        if not isinstance(offered["message"], str):
            raise ValueError("the peer's offer is malformed")
        return TextOffer(offered["message"])
    answer = said.get("answer")
    if isinstance(answer, dict) and answer.get("message_ack") == "ok":
        return Accepted()
    return None
