"""Events and notices to JSON values and back.

The type codes are chosen here and never change. They are written in journals and checkpoints; the
names of classes or modules there would turn a tidy-up into a migration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from cattrs.errors import ForbiddenExtraKeysError

from holdfast.core import events as ev
from holdfast.core import frames as fr
from holdfast.core import notices as out
from holdfast.core.documents import converter, exactly
from holdfast.errors import BadCheckpoint

CODES: Final[dict[str, type]] = {
    "allocate": ev.AllocateCode,
    "set": ev.SetCode,
    "type": ev.TypeCode,
    "choose-nameplate": ev.ChooseNameplate,
    "choose-words": ev.ChooseWords,
    "send": ev.SendMessage,
    "dilate": ev.Dilate,
    "send-dilation": ev.SendDilation,
    "dilation-seen": ev.DilationSeen,
    "close": ev.Close,
    "welcome": ev.Welcomed,
    "allocated": ev.Allocated,
    "claimed": ev.Claimed,
    "message": ev.MessageArrived,
    "released": ev.NameplateReleased,
    "closed": ev.MailboxClosed,
    "refused": ev.Refused,
    "misbehaved": ev.ServerMisbehaved,
    "no-server": ev.NoServer,
    "lost": ev.ConnectionLost,
    "absence": ev.LongAbsence,
    "missing": ev.MailboxMissing,
    "listed": ev.NameplateListed,
    "got-welcome": out.GotWelcome,
    "got-code": out.GotCode,
    "got-key": out.GotUnverifiedKey,
    "got-verifier": out.GotVerifier,
    "got-versions": out.GotVersions,
    "got-message": out.GotMessage,
    "got-dilation": out.GotDilation,
    "got-closed": out.Closed,
}
_CODE_OF: Final = {kind: code for code, kind in CODES.items()}

FRAME_CODES: Final[dict[type, str]] = {
    fr.Bind: "bind",
    fr.Allocate: "allocate",
    fr.Claim: "claim",
    fr.Open: "open",
    fr.Ping: "ping",
    fr.Add: "add",
    fr.Release: "release",
    fr.CloseMailbox: "close",
    fr.ListNameplates: "list",
}
"""What a journal calls each kind of frame: what was said changes a state too."""


def code_of(value: ev.Event | out.Notice) -> str:
    """Return the short word for the kind of `value`."""
    return _CODE_OF[type(value)]


def said_codes(frames: Iterable[fr.Frame]) -> list[str]:
    """Return the words for `frames`, in order, to be compared when a journal is replayed."""
    return [FRAME_CODES[type(frame)] for frame in frames]


def _is_mapping(kind: object) -> bool:
    return kind == Mapping[str, Any]


_converter: Final = converter.copy(detailed_validation=False)
"""Like the converter for documents, except that bytes become hexadecimal, and that mappings, which
the server or the peer sent, are passed on as they are."""

_converter.register_unstructure_hook(bytes, bytes.hex)
_converter.register_structure_hook(bytes, lambda digits, _: bytes.fromhex(digits))
_converter.register_unstructure_hook_func(_is_mapping, lambda value: value)
_converter.register_structure_hook_func(_is_mapping, exactly(dict))

# cattrs generates and compiles a function for each class, once, at its first use.
_writer: Final = cache(_converter.get_unstructure_hook)
_reader: Final = cache(_converter.get_structure_hook)


def to_json(value: ev.Event | out.Notice) -> dict[str, Any]:
    """Return `value` as JSON values; bytes become hexadecimal."""
    kind: type = type(value)
    return {"type": _CODE_OF[kind], **_writer(kind)(value)}


def from_json(record: object) -> Any:
    """Return the event or notice that `record` holds.

    Raises:
        BadCheckpoint: it holds neither.
    """
    try:
        given = dict(record)  # type: ignore[call-overload]
        kind = CODES[given.pop("type")]
        return _reader(kind)(given, kind)
    except (TypeError, ValueError, KeyError, ForbiddenExtraKeysError):
        raise BadCheckpoint("the saved wormhole is damaged: an event cannot be read") from None
