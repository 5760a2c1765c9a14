"""Events and notices to JSON values and back.

The type codes are chosen here and never change: they stand in journals and checkpoints, where the
name of a class or module would turn a tidy-up into a migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import NOTHING, fields

from holdfast.core import events as ev
from holdfast.core import frames as fr
from holdfast.core import notices as out
from holdfast.errors import BadCheckpoint

CODES: Final[dict[str, type]] = {
    "allocate": ev.AllocateCode,
    "set": ev.SetCode,
    "type": ev.TypeCode,
    "choose-nameplate": ev.ChooseNameplate,
    "choose-words": ev.ChooseWords,
    "send": ev.SendMessage,
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
    "got-closed": out.Closed,
}
_CODE_OF: Final = {kind: code for code, kind in CODES.items()}
_NAMES: Final = {kind: tuple(each.name for each in fields(kind)) for kind in _CODE_OF}

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
    """Return the short word for the kind of *value*."""
    return _CODE_OF[type(value)]


def said_codes(frames: Iterable[fr.Frame]) -> list[str]:
    """Return the words for *frames*, in order, for whoever replays what led to them."""
    return [FRAME_CODES[type(frame)] for frame in frames]


def to_json(value: ev.Event | out.Notice) -> dict[str, Any]:
    """Return *value* as JSON values; bytes become hexadecimal."""
    record: dict[str, Any] = {"type": code_of(value)}
    for name in _NAMES[type(value)]:
        content = getattr(value, name)
        record[name] = content.hex() if isinstance(content, bytes) else content
    return record


def _exactly(*kinds: type) -> Callable[[object], object]:
    def check(value: object) -> object:
        if type(value) not in kinds:
            raise TypeError
        return value

    return check


_READ: Final[dict[object, Callable[[Any], object]]] = {
    "bytes": bytes.fromhex,
    "str": _exactly(str),
    "str | None": _exactly(str, type(None)),
    "int": _exactly(int),
    "bool": _exactly(bool),
    "Mapping[str, Any]": _exactly(dict),
}
"""How a field of each annotation is read back."""


def from_json(record: object) -> Any:
    """Return the event or notice that *record* holds.

    Raises:
        BadCheckpoint: it holds neither.
    """
    try:
        given = dict(record)  # type: ignore[call-overload]
        kind = CODES[given.pop("type")]
        for each in fields(kind):
            if each.name in given or each.default is NOTHING:
                given[each.name] = _READ[each.type](given[each.name])
        return kind(**given)
    except (TypeError, ValueError, KeyError):
        raise BadCheckpoint("the saved wormhole is damaged: an event cannot be read") from None
