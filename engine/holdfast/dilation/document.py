"""The document that a dilated wormhole is saved as, inside that of its wormhole; pure.

    {"version": 1, "manager": {...}, "ledger": {...}, "options": {...}}

Nothing of a connection is in it: each has fresh keys. Records that are kept are written as they
are, bytes in base64; those of a plan are one entry, however many they are.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from attrs import field, frozen

from holdfast.core.documents import structure, unstructure, versioned
from holdfast.dilation.ledger import (
    LAST,
    MOST_PLANNED,
    OVERHEAD,
    Channel,
    Ledger,
    Outgoing,
    Planned,
    size_of,
)
from holdfast.dilation.manager import Manager
from holdfast.dilation.records import Close, Data, Open
from holdfast.errors import BadCheckpoint

VERSION: Final = 1


@frozen
class Options:
    """The arguments of `dilate` that a restart needs.

    Args:
        transit_relay_location: the relay to use, such as `tcp:relay.example:4001`.
        no_listen: whether only the peer listens.
        ping_interval: seconds.
        expected_subprotocols: names that may be opened; None for all.
        peer_timeout: seconds to wait for a peer that is gone; None for ever.
    """

    transit_relay_location: str | None = None
    no_listen: bool = False
    ping_interval: float = 30.0
    expected_subprotocols: list[str] | None = None
    peer_timeout: float | None = None


@frozen
class SavedDilation:
    """A dilated wormhole brought back from its document."""

    manager: Manager
    ledger: Ledger
    options: Options


@frozen
class _Document:
    version: int
    manager: dict[str, Any]
    ledger: _Ledger
    options: Options


@frozen
class _Ledger:
    leader: bool | None
    next_out: int
    acked: int
    highest_in: int
    next_channel: int
    channels: list[_Channel]
    kept: list[_Record]


@frozen
class _Channel:
    number: int
    name: str
    ours: bool = False
    out_closed: bool = False
    in_closed: bool = False
    sent: int = 0
    received: int = 0
    held: list[str] = field(factory=list, repr=False)
    over: bool = False
    state: Any = None


@frozen
class _Record:
    """One that is kept: the fields of its kind, and if it is planned, of some that follow."""

    kind: Literal["open", "data", "close", "plan"]
    scid: int
    name: str = ""
    data: str = field(default="", repr=False)
    plan: Any = None
    index: int = 0
    count: int = 1
    size: int = 0


def save(manager: Manager, ledger: Ledger, options: Options) -> dict[str, Any]:
    """The document, JSON values only."""
    return {
        "version": VERSION,
        "manager": manager.save(),
        "ledger": {
            "leader": ledger.leader,
            "next_out": ledger.next_out,
            "acked": ledger.acked,
            "highest_in": ledger.highest_in,
            "next_channel": ledger.next_channel,
            "channels": [_save_channel(channel) for channel in ledger.channels.values()],
            "kept": list(_save_records(ledger.outgoing(ledger.acked))),
        },
        "options": unstructure(options),
    }


def load(document: object) -> SavedDilation:
    """Bring back what `save` made.

    Raises:
        BadCheckpoint: it is damaged, or a newer Holdfast wrote it.
    """
    if not isinstance(document, dict):
        raise BadCheckpoint("the saved dilation is damaged: it is not a JSON object")
    saved = structure(versioned(document, VERSION, {}, "the saved dilation"), _Document)
    return SavedDilation(Manager.load(saved.manager), _load_ledger(saved.ledger), saved.options)


def _save_channel(channel: Channel) -> dict[str, Any]:
    """Short: there may be a thousand that do nothing."""
    record: dict[str, Any] = {"number": channel.number, "name": channel.name}
    for name in ("ours", "out_closed", "in_closed", "sent", "received", "over"):
        if value := getattr(channel, name):
            record[name] = value
    if channel.held:
        record["held"] = [_text(data) for data in channel.held]
    if channel.state is not None:
        record["state"] = channel.state
    return record


def _save_records(kept: Iterable[Outgoing]) -> list[dict[str, Any]]:
    saved: list[dict[str, Any]] = []
    following: tuple[object, int] | None = None  # the plan and index that the last entry takes in
    for record in kept:
        if isinstance(record, Planned):
            if following is not None and (record.plan, record.index) == following:
                saved[-1]["count"] += 1
            else:
                saved.append(
                    {
                        "kind": "plan",
                        "scid": record.scid,
                        "plan": record.plan,
                        "index": record.index,
                        "count": 1,
                        "size": record.size,
                    }
                )
            following = (record.plan, record.index + 1)
            continue
        following = None
        if isinstance(record, Data):
            saved.append({"kind": "data", "scid": record.scid, "data": _text(record.data)})
        elif isinstance(record, Open):
            saved.append({"kind": "open", "scid": record.scid, "name": record.name})
        else:
            saved.append({"kind": "close", "scid": record.scid})
    return saved


def _load_ledger(saved: _Ledger) -> Ledger:
    kept: deque[Outgoing] = deque()
    for entry in saved.kept:
        kept.extend(_load_record(entry, saved.acked + 1 + len(kept)))
    channels = {channel.number: _load_channel(channel) for channel in saved.channels}
    numbers = (saved.next_out, saved.acked + 1, saved.highest_in + 1, saved.next_channel)
    _check(all(0 <= number <= LAST + 2 for number in numbers))
    _check(saved.acked + 1 + len(kept) == saved.next_out)
    _check(len(channels) == len(saved.channels) and all(0 < each <= LAST for each in channels))
    for record in kept:
        if isinstance(record, Planned):
            _check(record.scid in channels)
            channels[record.scid].planned += 1
    return Ledger(
        saved.leader,
        saved.next_out,
        saved.acked,
        saved.highest_in,
        saved.next_channel,
        sum(map(size_of, kept)),
        sum(size_of(record) for record in kept if isinstance(record, Planned)),
        sum(len(data) + OVERHEAD for channel in channels.values() for data in channel.held),
        channels,
        kept,
        sum(not channel.ours for channel in channels.values()),
        sum(isinstance(record, Close) for record in kept),
    )


def _load_channel(saved: _Channel) -> Channel:
    return Channel(
        saved.number,
        saved.name,
        saved.ours,
        saved.out_closed,
        saved.in_closed,
        saved.sent,
        saved.received,
        [_bytes(text) for text in saved.held],
        0,  # counted when the records are there
        saved.over,
        saved.state,
    )


def _load_record(saved: _Record, seq: int) -> Iterator[Outgoing]:
    """The records of one entry, of which the first has the number `seq`."""
    match saved.kind:
        case "open":
            yield Open(saved.scid, seq, saved.name)
        case "data":
            yield Data(saved.scid, seq, _bytes(saved.data))
        case "close":
            yield Close(saved.scid, seq)
        case "plan":
            _check(0 < saved.count <= MOST_PLANNED)
            for more in range(saved.count):
                yield Planned(saved.scid, seq + more, saved.plan, saved.index + more, saved.size)


def _text(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _bytes(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        raise BadCheckpoint("the saved dilation is damaged: a record is not base64") from None


def _check(good: bool) -> None:  # noqa: FBT001
    if not good:
        raise BadCheckpoint("the saved dilation is damaged: its numbers do not fit together")
