"""Frames and events, to and from the text that goes over the WebSocket.

Each message is one JSON object, with its kind under `type` (server-protocol.md, "WebSocket
Transport" and "All Message Types"). Everything that comes in is hostile until `read` has checked
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from attrs import frozen

from holdfast.codes import is_nameplate
from holdfast.core import events as ev
from holdfast.core import frames as fr
from holdfast.core import strict_json
from holdfast.version import VERSION

CLIENT_VERSION: Final = ("holdfast", VERSION)
"""What servers are told about us, in every `bind`."""

ONLY: Final = "holdfast-only"
"""In a `list`: the one nameplate that we ask about (watching.md, "One nameplate")."""

LONGEST_NAME: Final = 200
"""Characters of the longest mailbox, side or phase that is accepted."""

LARGEST_FRAME: Final = 8 * 1024 * 1024
"""Bytes of the longest text that a mailbox server can be expected to accept. It is the limit of
`holdfast mailbox`; the stock server accepts longer ones, unless it is configured otherwise."""

AROUND_A_BODY: Final = 1024
"""Bytes that the server may put around a message's body when it passes it on; far fewer, if names
are as long as ours."""

LONGEST_BODY: Final = (LARGEST_FRAME - AROUND_A_BODY) // 2
"""Bytes of the longest body of a message, which travels as hexadecimal digits."""

LONGEST_TEXT: Final = 2000
"""How many characters of an error's text are kept."""


@frozen
class Pong:
    """The answer to our ping: everything that was asked before it has been answered."""


@frozen
class Nameplates:
    """The answer to our `list`: which nameplates there are."""

    nameplates: frozenset[str]


@frozen
class Nameless:
    """A message of a peer that we cannot even name. The server keeps and counts it all the same."""


FromServer: TypeAlias = ev.Event | Pong | Nameplates | Nameless


class Malformed(Exception):
    """The server sent something that servers must not send. The text never quotes the frame."""


def write(frame: fr.Frame, frame_id: str) -> str:
    """Return the text of `frame`; `frame_id` is the random id that the server acknowledges."""
    match frame:
        case fr.Bind(appid, side):
            fields = {"type": "bind", "appid": appid, "side": side}
            return _text({**fields, "client_version": list(CLIENT_VERSION)}, frame_id)
        case fr.Allocate():
            return _text({"type": "allocate"}, frame_id)
        case fr.Claim(nameplate):
            return _text({"type": "claim", "nameplate": nameplate}, frame_id)
        case fr.Open(mailbox):
            return _text({"type": "open", "mailbox": mailbox}, frame_id)
        case fr.ListNameplates(None):
            return _text({"type": "list"}, frame_id)
        case fr.ListNameplates(only):
            # With 100,000 codes the whole list has a megabyte.
            return _text({"type": "list", ONLY: only}, frame_id)
        case fr.Ping():
            return _text({"type": "ping", "ping": 0}, frame_id)
        case fr.Add(phase, body):
            return _text({"type": "add", "phase": phase, "body": body}, frame_id)
        case fr.Release(nameplate):
            return _text({"type": "release", "nameplate": nameplate}, frame_id)
        case fr.CloseMailbox(mailbox, mood):
            return _text({"type": "close", "mailbox": mailbox, "mood": mood}, frame_id)


def _text(fields: dict[str, object], frame_id: str) -> str:
    return json.dumps({**fields, "id": frame_id})


def read(text: str) -> FromServer | None:
    """Return what the server said, or None for what needs no answer (acks, unknown kinds).

    Raises:
        Malformed: servers must not send that.
    """
    try:
        frame = strict_json.parse(text)
    except ValueError:
        raise Malformed("the server sent something that is not JSON") from None
    if not isinstance(frame, dict):
        raise Malformed("the server sent something that is not a JSON object")
    kind = frame.get("type")
    if not isinstance(kind, str):
        raise Malformed("the server sent a message without a type")
    reader = _READERS.get(kind)
    return None if reader is None else reader(frame)


def _string(frame: dict[str, Any], key: str, longest: int = LONGEST_NAME) -> str:
    value = frame.get(key)
    if not isinstance(value, str) or not value or len(value) > longest:
        raise Malformed(f"the server sent a message whose {key!r} is missing or malformed")
    return value


def _welcome(frame: dict[str, Any]) -> FromServer:
    welcome = frame.get("welcome")
    if not isinstance(welcome, dict):
        raise Malformed("the server sent a welcome that is not a JSON object")
    if len(json.dumps(welcome)) > 16 * LONGEST_TEXT:
        raise Malformed("the server sent a welcome of an unreasonable size")
    return ev.Welcomed(welcome)


def _allocated(frame: dict[str, Any]) -> FromServer:
    nameplate = _string(frame, "nameplate")
    if not is_nameplate(nameplate):
        raise Malformed("the server allocated a nameplate that is not a number")
    return ev.Allocated(nameplate)


def _message(frame: dict[str, Any]) -> FromServer:
    """Read a message, which the server passes on unread: what is wrong is the peer's fault.

    A message that we could not even name is dropped. One whose body is not hexadecimal is kept with
    an empty body, which will not decrypt.
    """
    side, phase, body = frame.get("side"), _phase(frame.get("phase")), frame.get("body")
    if not isinstance(side, str) or phase is None:
        return Nameless()
    if max(len(side), len(phase)) > LONGEST_NAME:
        return Nameless()
    try:
        content = bytes.fromhex(body) if isinstance(body, str) else b""
    except ValueError:
        content = b""
    return ev.MessageArrived(side, phase, content)


def _phase(phase: object) -> str | None:
    """The protocol also allows a number: the server stores it as this text, and replays that."""
    if type(phase) is int:  # and not bool
        return str(phase)
    return phase if isinstance(phase, str) else None


def _nameplates(frame: dict[str, Any]) -> FromServer:
    """Leave out what is not a nameplate, because it could not be claimed."""
    listed = frame.get("nameplates")
    if not isinstance(listed, list):
        raise Malformed("the server sent a list of nameplates that is none")
    ids = (each.get("id") for each in listed if isinstance(each, dict))
    return Nameplates(
        frozenset(each for each in ids if isinstance(each, str) and is_nameplate(each))
    )


def _error(frame: dict[str, Any]) -> FromServer:
    error = frame.get("error")
    if not isinstance(error, str):
        raise Malformed("the server sent an error without a text")
    original = frame.get("orig")
    about = original.get("type") if isinstance(original, dict) else None
    return ev.Refused(error[:LONGEST_TEXT], about if isinstance(about, str) else None)


_READERS: Final[dict[str, Callable[[dict[str, Any]], FromServer | None]]] = {
    "welcome": _welcome,
    "allocated": _allocated,
    "claimed": lambda frame: ev.Claimed(_string(frame, "mailbox")),
    "message": _message,
    "released": lambda frame: ev.NameplateReleased(),  # noqa: ARG005 - a table of readers
    "closed": lambda frame: ev.MailboxClosed(),  # noqa: ARG005 - a table of readers
    "nameplates": _nameplates,
    "pong": lambda frame: Pong(),  # noqa: ARG005 - a table of readers
    "error": _error,
}
