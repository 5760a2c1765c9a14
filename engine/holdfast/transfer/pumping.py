"""The bulk of a transfer, one thread's work: from a file into records, or from records into a file.

The thread ends when all is through, by an error, or soon after `stop` is set and the wire was
interrupted. Nothing here knows who the other side is; what it says before and after the bulk are
single records with JSON (`send_json`, `receive_json`).
"""

import errno
import json
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import frozen

from holdfast.core import strict_json
from holdfast.errors import WormholeError
from holdfast.transit.bulk import ROOM, Bulk
from holdfast.transit.errors import RecordError, WireError

PROGRESS_EVERY: Final = 0.25
"""Seconds between two reports of progress: what an eye can follow."""

DURABLE_EVERY: Final = 1.0
DURABLE_BYTES: Final = 64 * 1024 * 1024
"""After so many seconds or bytes, whichever is first, what was received is made durable."""

FULL_EVERY: Final = 2.0
FULL_LONGEST: Final = 600.0
"""A receiver whose disk is full tries again so often, and gives up after so many seconds.

The other side waits meanwhile: no stock sender has a timer."""

ACK_SPEED: Final = 1_000_000
"""Bytes a second of the slowest other side that still unpacks a folder before it acknowledges."""

LONGEST_JSON: Final = 64 * 1024
"""Bytes of the longest record that is read as JSON."""


class Stop(Protocol):
    """What tells a thread to stop, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Whether the thread is to stop."""

    def wait(self, timeout: float) -> bool:
        """Wait `timeout` seconds, or until the thread is to stop; whether it is."""


class Reading(Protocol):
    """What is sent, from where it is positioned."""

    def read_into(self, view: memoryview) -> int:
        """Put the next bytes at the start of `view`; how many. 0 at the end."""

    def check(self) -> None:
        """Raise the source's own error if it is not what was offered."""


class Writing(Protocol):
    """Where what is received is written."""

    def write(self, view: memoryview) -> None:
        """Append all of `view`."""

    def truncate(self, offset: int) -> None:
        """Forget what is behind `offset`, and go on there."""

    def sync(self) -> None:
        """Make durable what was written."""


class Digest(Protocol):
    """A digest of `hashlib`."""

    def update(self, data: memoryview, /) -> None:
        """Add `data`."""


class DiskFull(WormholeError):
    """There was no room on the receiver's disk for ten minutes."""

    advice = "The disk is full. Make room and try again."


class SourceTooShort(WormholeError):
    """What is being sent has fewer bytes than were offered."""

    advice = "What is being sent has become shorter since it was offered."


def _nothing(_: int) -> None:
    """Tell nobody."""


@frozen(kw_only=True)
class Watcher:
    """Who hears of a transfer while it runs, and may stop it. Everything is called in its thread.

    Args:
        stop: set to end the transfer; interrupt the wire too, which may be waiting.
        progress: called with the offset that was reached, at most every `PROGRESS_EVERY` seconds,
            and at the end.
        durable: called with the offset up to which everything is durable; None if nobody wants to
            know, and nothing is made durable then.
        full: called when the disk is full; when there is room again, progress goes on.
        now: seconds that only go forward.
    """

    stop: Stop
    progress: Callable[[int], None] = _nothing
    durable: Callable[[int], None] | None = None
    full: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.monotonic


def send_all(bulk: Bulk, stream: Reading, watcher: Watcher, *, size: int, offset: int = 0) -> None:
    """Send everything from `offset` to `size` of `stream`, which is positioned at `offset`.

    The last record is sent only if the source is still what was offered, so the other side never
    gets a whole transfer of something else. After an error the caller closes the wire: no stock
    receiver would notice fewer bytes otherwise.

    Raises:
        WireError: the connection broke, or the transfer was stopped.
        SourceTooShort: `stream` ended before `size`.
    """
    due = watcher.now() + PROGRESS_EVERY
    while offset < size:
        _stop_if(watcher.stop)
        length = min(ROOM, size - offset)
        _fill(stream, bulk.room[:length])
        if offset + length == size:
            stream.check()
        bulk.send_room(length)
        offset += length
        if watcher.now() >= due:
            watcher.progress(offset)
            due = watcher.now() + PROGRESS_EVERY
    watcher.progress(offset)


def receive_all(
    bulk: Bulk, landing: Writing, hasher: Digest, watcher: Watcher, *, size: int, offset: int = 0
) -> None:
    """Write what comes into `landing`, from `offset` on and until it has `size` bytes.

    `hasher` has the digest of what `landing` has, before and after.

    Raises:
        RecordError: the other side sent something else, or more.
        WireError: the connection broke, or the transfer was stopped.
        DiskFull: there was no room for too long. What was written stays.
        OSError: the file could not be written for another reason.
    """
    marks = _Marks(watcher, landing, offset)
    while offset < size:
        _stop_if(watcher.stop)
        plain = bulk.receive()
        if len(plain) > size - offset:
            raise RecordError("The other side sent more than it offered.")
        _write(landing, plain, offset, watcher)
        hasher.update(plain)
        offset += len(plain)
        marks.reached(offset)
    marks.done(offset)


def send_json(bulk: Bulk, value: dict[str, Any]) -> None:
    """Send `value` as one record.

    Raises:
        WireError: the connection broke.
    """
    bulk.send(json.dumps(value).encode())


def receive_json(bulk: Bulk) -> dict[str, Any]:
    """Wait for a record that is a JSON object of at most `LONGEST_JSON` bytes.

    Raises:
        RecordError: something else came.
        WireError: the connection ended or broke.
    """
    plain = bulk.receive()
    if len(plain) > LONGEST_JSON:
        raise RecordError("The other side sent a message that is too long.")
    try:
        value = strict_json.parse(str(plain, "utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RecordError("The other side sent a message that cannot be read.")
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
        _stop_if(watcher.stop)
    return receive_json(bulk)


def _fill(stream: Reading, view: memoryview) -> None:
    while view:
        count = stream.read_into(view)
        if count == 0:
            stream.check()  # says better what happened, if it can
            raise SourceTooShort
        view = view[count:]


def _write(landing: Writing, plain: memoryview, offset: int, watcher: Watcher) -> None:
    try:
        landing.write(plain)
    except OSError as error:
        if not _is_full(error):
            raise
        _when_there_is_room(lambda: _rewrite(landing, plain, offset), watcher)


def _rewrite(landing: Writing, plain: memoryview, offset: int) -> None:
    landing.truncate(offset)  # a part of it may have been written
    landing.write(plain)


def _when_there_is_room(attempt: Callable[[], None], watcher: Watcher) -> None:
    watcher.full()
    until = watcher.now() + FULL_LONGEST
    while watcher.now() < until:
        watcher.stop.wait(FULL_EVERY)
        _stop_if(watcher.stop)
        try:
            attempt()
        except OSError as error:
            if not _is_full(error):
                raise
        else:
            return
    raise DiskFull


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _stop_if(stop: Stop) -> None:
    if stop.is_set():
        raise WireError("The transfer was interrupted.")


class _Marks:
    """When progress is told, and when what was received is made durable."""

    def __init__(self, watcher: Watcher, landing: Writing, offset: int) -> None:
        self._watcher = watcher
        self._landing = landing
        self._durable = offset
        self._durable_at = watcher.now()
        self._told_at = watcher.now()

    def reached(self, offset: int) -> None:
        now = self._watcher.now()
        if now >= self._told_at + PROGRESS_EVERY:
            self._watcher.progress(offset)
            self._told_at = now
        if now >= self._durable_at + DURABLE_EVERY or offset >= self._durable + DURABLE_BYTES:
            self._make_durable(offset)

    def done(self, offset: int) -> None:
        self._watcher.progress(offset)
        if offset > self._durable:
            self._make_durable(offset)

    def _make_durable(self, offset: int) -> None:
        if self._watcher.durable is None:
            return
        self._landing.sync()
        self._durable = offset
        self._durable_at = self._watcher.now()
        self._watcher.durable(offset)
