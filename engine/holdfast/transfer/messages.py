"""What the two sides of a transfer say to each other in the mailbox.

The messages are those of file-transfer-protocol.md, "Sender" and "Recipient", as the released
clients have them. Each is a JSON object; a client says one thing in each, and is heard if it says
several in one. What is not understood is passed over, because others may say more than we know.

Between two Holdfasts there is more. Each says `{"holdfast": {"transfer": 1}}` among its versions.
Then the offer has the content's `sha256`, each side may say its hints again, and the receiver says
`{"answer": {"received": SHA256}}` once all is where it belongs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from holdfast.core.messages import parse_json_object

VERSIONS: Final[Mapping[str, Any]] = {"holdfast": {"transfer": 1}}
"""What a Holdfast says of itself among its versions."""

LARGEST: Final = 2**63 - 1
"""The largest size and the greatest number that an offer may name."""

LONGEST_NAME: Final = 4096
"""Characters of the longest name that is looked at at all."""

_LONGEST_ERROR: Final = 200
_SHA256: Final = re.compile("[0-9a-f]{64}")


@frozen
class TextOffer:
    """The peer hands over a text."""

    text: str = field(repr=False)


@frozen
class Offer:
    """The peer offers a file, or a folder as a zip archive.

    Args:
        kind: which of the two.
        name: as the peer has it: hostile, and not yet a name of a file here.
        size: bytes that will come over Transit.
        files: how many files there are in the folder; 1 for a file.
        total: bytes of these files together.
        sha256: of what will come, in hexadecimal digits; "" unless the peer is a Holdfast.
    """

    kind: Literal["file", "folder"]
    name: str = field(repr=False)
    size: int
    files: int
    total: int
    sha256: str = ""


@frozen
class OtherOffer:
    """The peer offers something that is not known here."""


@frozen
class Transit:
    """Where the peer can be reached: its hints as they came, to be read by `transit.hints`."""

    hints: object = field(repr=False)


@frozen
class TextAccepted:
    """The peer has the text."""


@frozen
class OfferAccepted:
    """The peer wants the file or folder."""


@frozen
class OtherAnswer:
    """The peer answers what nobody should: who refuses says an error."""


@frozen
class Received:
    """The peer, a Holdfast, has all of it where it belongs."""

    sha256: str


@frozen
class PeerSaysNo:
    """The peer reports an error, in its own words, which are made printable."""

    error: str


Said: TypeAlias = (
    TextOffer
    | Offer
    | OtherOffer
    | Transit
    | TextAccepted
    | OfferAccepted
    | OtherAnswer
    | Received
    | PeerSaysNo
)


def read(message: bytes) -> tuple[Said, ...]:
    """Return what the peer said: nothing, if it belongs to another protocol.

    Raises:
        ValueError: it is malformed.
    """
    said = parse_json_object(message, "the peer's message")
    if "error" in said:
        return (PeerSaysNo(_printable(str(said["error"]))),)
    heard: list[Said] = []
    if "transit" in said:
        heard.append(_transit(said["transit"]))
    if "offer" in said:
        heard.append(_offer(said["offer"]))
    if "answer" in said:
        heard += _answers(said["answer"])
    return tuple(heard)


def resumes(versions: Mapping[str, Any]) -> bool:
    """Return whether a peer with these versions can go on with a transfer that broke."""
    of_holdfast = versions.get("holdfast")
    return isinstance(of_holdfast, dict) and of_holdfast.get("transfer") == 1


def offer(offered: Offer) -> bytes:
    """Return the message that offers a file or a folder."""
    if offered.kind == "file":
        inside: dict[str, Any] = {"filename": offered.name, "filesize": offered.size}
    else:
        inside = {
            "mode": "zipfile/deflated",  # the one mode that there is, whether deflated or not
            "dirname": offered.name,
            "zipsize": offered.size,
            "numbytes": offered.total,
            "numfiles": offered.files,
        }
    if offered.sha256:
        inside["sha256"] = offered.sha256
    kind = "file" if offered.kind == "file" else "directory"
    return _json({"offer": {kind: inside}})


def transit(abilities: Sequence[Mapping[str, Any]], hints: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the message that says where we can be reached.

    Args:
        abilities: the kinds of hints that we can use; see `holdfast.transit.hints`.
        hints: our own, likewise.
    """
    return _json({"transit": {"abilities-v1": list(abilities), "hints-v1": list(hints)}})


def accept_text() -> bytes:
    """Return the message that says that the text arrived."""
    return _json({"answer": {"message_ack": "ok"}})


def accept_offer() -> bytes:
    """Return the message that says that we want what was offered."""
    return _json({"answer": {"file_ack": "ok"}})


def received(sha256: str) -> bytes:
    """Return the message with which a Holdfast acknowledges to another that it has everything."""
    return _json({"answer": {"received": sha256}})


def refuse(why: str) -> bytes:
    """Return the message that says that what was offered will not be accepted, or not sent."""
    return _json({"error": why})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _printable(words: str) -> str:
    return "".join(c if c.isprintable() else " " for c in words[:_LONGEST_ERROR])


def _transit(said: object) -> Transit:
    # What is wrong with hints is passed over: the others may be good.
    return Transit(said.get("hints-v1") if isinstance(said, dict) else None)


def _offer(said: object) -> TextOffer | Offer | OtherOffer:
    if not isinstance(said, dict):
        raise ValueError("the peer's offer is malformed")
    if "message" in said:
        if not isinstance(said["message"], str):
            raise ValueError("the peer's offer is malformed")
        return TextOffer(said["message"])
    if "file" in said:
        inside = _object(said["file"])
        size = _number(inside, "filesize")
        digest = _sha256(inside.get("sha256", ""))
        return Offer("file", _name(inside, "filename"), size, 1, size, digest)
    if "directory" in said:
        inside = _object(said["directory"])
        mode = inside.get("mode")
        if not (isinstance(mode, str) and mode.startswith("zipfile")):
            raise ValueError("the peer offers a folder in a form that is not known here")
        return Offer(
            "folder",
            _name(inside, "dirname"),
            _number(inside, "zipsize"),
            _number(inside, "numfiles"),
            _number(inside, "numbytes"),
            _sha256(inside.get("sha256", "")),
        )
    return OtherOffer()


def _answers(said: object) -> list[Said]:
    if not isinstance(said, dict):
        return [OtherAnswer()]
    heard: list[Said] = []
    for key, meaning in (("message_ack", TextAccepted()), ("file_ack", OfferAccepted())):
        if key in said:
            heard.append(meaning if said[key] == "ok" else OtherAnswer())
    if "received" in said:
        heard.append(Received(_sha256(said["received"])))
    return heard


def _object(said: object) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError("the peer's offer is malformed")
    return said


def _name(inside: Mapping[str, Any], key: str) -> str:
    name = inside.get(key)
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME:
        raise ValueError("the peer offers something without a usable name")
    return name


def _number(inside: Mapping[str, Any], key: str) -> int:
    number = inside.get(key)
    if type(number) is not int or not 0 <= number <= LARGEST:
        raise ValueError(f"the peer's offer has no usable {key}")
    return number


def _sha256(said: object) -> str:
    """Return the digest; "" if it is none, so that nothing can be equal to it."""
    return said if isinstance(said, str) and _SHA256.fullmatch(said) else ""
