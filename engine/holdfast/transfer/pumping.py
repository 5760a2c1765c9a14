"""The bulk of a transfer, one thread's work: from a file into records, or from records into a file.

The thread ends when all is through, by an error, or soon after `stop` is set and the wire was
interrupted. Nothing here knows who the other side is; what it says before and after the bulk are
single records with JSON (`send_json`, `receive_json`).
"""

import json
from typing import Any, Final, Protocol

from holdfast.core import strict_json
from holdfast.transfer.errors import SourceChanged
from holdfast.transfer.storing import Store, Writing
from holdfast.transfer.watcher import Progress, Watcher
from holdfast.transit.bulk import ROOM, Bulk
from holdfast.transit.errors import RecordError

ACK_SPEED: Final = 1_000_000
"""Bytes a second of the slowest other side that still unpacks a folder before it acknowledges."""

LONGEST_JSON: Final = 64 * 1024
"""Bytes of the longest record that is read as JSON."""


class Reading(Protocol):
    """What is sent, from where it is positioned."""

    def read_into(self, view: memoryview) -> int:
        """Put the next bytes at the start of `view`; how many. 0 at the end."""

    def check(self) -> None:
        """Raise the source's own error if it is not what was offered."""


class Digest(Protocol):
    """A digest of `hashlib`."""

    def update(self, data: memoryview, /) -> None:
        """Add `data`."""


class Nonsense(RecordError):
    """The other side, which has the key, said what nobody may say here."""

    advice = "The other side does not keep to the protocol of transfers."


class SourceTooShort(SourceChanged):
    """What is being sent has fewer bytes than were offered."""

    advice = "What is being sent has become shorter since it was offered."


def send_all(bulk: Bulk, stream: Reading, watcher: Watcher, *, size: int, offset: int = 0) -> None:
    """Send everything from `offset` to `size` of `stream`, which is positioned at `offset`.

    The last record is sent only if the source is still what was offered, so the other side never
    gets a whole transfer of something else. After an error the caller closes the wire: no stock
    receiver would notice fewer bytes otherwise.

    Raises:
        WireError: the connection broke, or the transfer was stopped.
        SourceTooShort: `stream` ended before `size`.
    """
    progress = Progress(watcher)
    while offset < size:
        watcher.check()
        length = min(ROOM, size - offset)
        watcher.pace(length)
        _fill(stream, bulk.room[:length])
        if offset + length == size:
            stream.check()
        bulk.send_room(length)
        offset += length
        progress.reached(offset)
    watcher.progress(offset)


def receive_all(
    bulk: Bulk, landing: Writing, hasher: Digest, watcher: Watcher, *, size: int, offset: int = 0
) -> None:
    """Write what comes into `landing`, from `offset` on and until it has `size` bytes.

    `hasher` has the digest of what `landing` has, before and after.

    Raises:
        RecordError: the other side sent something else; `Nonsense` if it sent more.
        WireError: the connection broke, or the transfer was stopped.
        OutOfSpace: there was no room for too long. What was written stays.
        OSError: the file could not be written for another reason.
    """
    store, progress = Store(landing, watcher, offset), Progress(watcher)
    while store.offset < size:
        watcher.check()
        left = size - store.offset
        contents = bulk.receive_some(left)
        count = sum(map(len, contents))
        watcher.pace(count)
        too_much = count > left
        if too_much:
            contents.pop()
        store.write(contents)
        for each in contents:
            hasher.update(each)
        if too_much:
            raise Nonsense("The other side sent more than it offered.")
        progress.reached(store.offset)
    store.sync()
    bulk.took()
    watcher.progress(size)


def send_json(bulk: Bulk, value: dict[str, Any]) -> None:
    """Send `value` as one record.

    Raises:
        WireError: the connection broke.
    """
    bulk.send(json.dumps(value).encode())


def receive_json(bulk: Bulk) -> dict[str, Any]:
    """Wait for a record that is a JSON object of at most `LONGEST_JSON` bytes.

    Raises:
        RecordError: something else came; `Nonsense` if it is a record.
        WireError: the connection ended or broke.
    """
    plain = bulk.receive()
    if len(plain) > LONGEST_JSON:
        raise Nonsense("The other side sent a message that is too long.")
    try:
        value = strict_json.parse(str(plain, "utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Nonsense("The other side sent a message that cannot be read.")
    return value


def receive_ack(bulk: Bulk, watcher: Watcher, *, size: int) -> dict[str, Any]:
    """Wait for the receiver's acknowledgement of `size` bytes.

    It may unpack a folder before it acknowledges, so the wire's own limit is not enough. A receiver
    that waits for a record although there are no bytes (wormhole-william 1.0.6) gets an empty one.

    Raises:
        RecordError: something else came.
        WireError: the connection ended or broke, or nothing came for too long.
    """
    if size == 0 and not bulk.wire.readable(1.0):
        bulk.send(b"")
    until = watcher.now() + size / ACK_SPEED
    while not bulk.wire.readable(1.0) and watcher.now() < until:
        watcher.check()
    return receive_json(bulk)


def _fill(stream: Reading, view: memoryview) -> None:
    while view:
        count = stream.read_into(view)
        if count == 0:
            stream.check()  # says better what happened, if it can
            raise SourceTooShort
        view = view[count:]
