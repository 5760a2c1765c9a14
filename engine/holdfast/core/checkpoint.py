"""The document that a wormhole is saved as, and how old documents are brought forward.

    {"version": 4, "relay": URL, "exchange": {...}, "pending": [...], "heard_at": TIME,
     "dilation": {...}}

`pending` holds what the application had not been told when the wormhole was saved. `heard_at` is
when the server last showed that it had something of ours (seconds since the epoch, or null).
`dilation` is what a dilated wormhole needs besides, which is not read here, or null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from holdfast.core.codec import from_json, to_json
from holdfast.core.documents import Step, structure, versioned
from holdfast.core.exchange import Exchange
from holdfast.core.notices import Notice, Notices
from holdfast.errors import BadCheckpoint

VERSION: Final = 4


def _from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """Bring version 1 forward; three things are new.

    It had neither the time nor where a code came from: what is not known counts as doubtful. And
    it kept what a closing wormhole held back, which will never be sent.
    """
    try:
        code, outbox = document["exchange"]["code"], document["exchange"]["outbox"]
        data = {**code["data"], "allocated": code["state"] == "known"}
        well = document["exchange"]["lifecycle"]["state"] in ("lonely", "happy")
        if outbox["state"] == "holding" and not well:
            outbox = {**outbox, "data": {**outbox["data"], "queued": []}}
        exchange = {**document["exchange"], "code": {**code, "data": data}, "outbox": outbox}
    except (KeyError, TypeError):
        raise BadCheckpoint("the saved wormhole is damaged: it lacks a machine") from None
    return {**document, "exchange": exchange, "heard_at": None}


def _from_version_2(document: dict[str, Any]) -> dict[str, Any]:
    """Bring version 2 forward; two things are new.

    Whether the code was told: in version 2 it was, as soon as it was known. And everything sent was
    in one list; now the messages that are done have their own, in the order of their numbers.
    """
    try:
        code = document["exchange"]["code"]
        outbox = document["exchange"]["outbox"]
        sent = outbox["data"]["sent"]
        shown: list[Any] = []
        echoed = {message["phase"]: message["body"] for message in sent if message["echoed"]}
        while (phase := str(len(shown))) in echoed:
            shown.append(echoed.pop(phase))
        done = {str(number) for number in range(len(shown))}
        left = [message for message in sent if message["phase"] not in done]
        data = {**outbox["data"], "sent": left, "shown": shown, "kept": 0}
        exchange = {
            **document["exchange"],
            "code": {**code, "data": {**code["data"], "untold": False}},
            "outbox": {**outbox, "data": data},
        }
    except (KeyError, TypeError):
        raise BadCheckpoint("the saved wormhole is damaged: it has no code or outbox") from None
    return {**document, "exchange": exchange}


def _from_version_3(document: dict[str, Any]) -> dict[str, Any]:
    """Bring version 3 forward: there was no dilation, and no peer was told of one.

    What is new in the data of outbox and inbox has defaults.
    """
    try:
        heard = document["exchange"]["inbox"]["data"]["versions"]
        can_dilate = False if heard else None
        exchange = {**document["exchange"], "dilation": False, "can_dilate": can_dilate}
    except (KeyError, TypeError):
        raise BadCheckpoint("the saved wormhole is damaged: it has no inbox") from None
    return {**document, "exchange": exchange, "dilation": None}


BRING_FORWARD: Final[Mapping[int, Step]] = {
    1: _from_version_1,
    2: _from_version_2,
    3: _from_version_3,
}
"""For each old version, the function that makes a document of the next one from it."""


@frozen
class SavedWormhole:
    """A wormhole brought back from its document."""

    relay_url: str
    exchange: Exchange
    pending: Notices = ()
    heard_at: float | None = None
    dilation: dict[str, Any] | None = field(default=None, repr=False)


@frozen
class _Document:
    version: int
    relay: str
    exchange: dict[str, Any]
    pending: list[dict[str, Any]]
    heard_at: float | None
    dilation: dict[str, Any] | None


def save(
    relay_url: str,
    exchange: Exchange,
    pending: Iterable[Notice],
    heard_at: float | None = None,
    dilation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the document of a wormhole, JSON values only."""
    return {
        "version": VERSION,
        "relay": relay_url,
        "exchange": exchange.serialize(),
        "pending": [to_json(notice) for notice in pending],
        "heard_at": heard_at,
        "dilation": dilation,
    }


def load(data: object) -> SavedWormhole:
    """Bring a wormhole back from the document that `save` made, now or in an older release.

    Raises:
        BadCheckpoint: it is damaged, or a newer Holdfast wrote it.
    """
    if not isinstance(data, Mapping):
        raise BadCheckpoint("the saved wormhole is damaged: it is not a JSON object")
    saved = structure(versioned(data, VERSION, BRING_FORWARD, "the saved wormhole"), _Document)
    return SavedWormhole(
        saved.relay,
        Exchange.from_serialized(saved.exchange),
        tuple(_notice(each) for each in saved.pending),
        saved.heard_at,
        saved.dilation,
    )


def _notice(record: object) -> Notice:
    notice = from_json(record)
    if not isinstance(notice, Notice):
        raise BadCheckpoint("the saved wormhole is damaged: something pending is not a notice")
    return notice
