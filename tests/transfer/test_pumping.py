"""The bulk of a transfer: progress, durability, a full disk, a changed source, and the messages."""

import errno
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from holdfast.transfer import pumping, storing
from holdfast.transfer.errors import OutOfSpace
from holdfast.transfer.landing import Landing
from holdfast.transfer.pieces import LONG, SHORT, TRIED
from holdfast.transfer.pumping import receive_all, send_all
from holdfast.transfer.sources import measure, open_source
from holdfast.transfer.storing import DURABLE_EVERY
from holdfast.transfer.watcher import Watcher
from holdfast.transit.bulk import FRONT, ROOM, Bulk
from holdfast.transit.errors import RecordError, WireError
from tests.transit.memory_wire import MemoryWire

KEY = bytes(range(32))


class Changed(Exception):
    """What a source says if it is not what was offered."""


@define
class Stream:
    """A source in memory; it gives at most `piece` bytes at a time."""

    data: bytes
    piece: int = 100_000
    at: int = 0
    changed: bool = False

    def read_into(self, view: memoryview) -> int:
        count = min(len(view), self.piece, len(self.data) - self.at)
        view[:count] = self.data[self.at : self.at + count]
        self.at += count
        return count

    def check(self) -> None:
        if self.changed:
            raise Changed


@define
class Target:
    """A file in memory, on a disk that is full `full` times when `room` bytes are there."""

    data: bytearray = field(factory=bytearray)
    full: int = 0
    room: int = 0
    reason: int = errno.ENOSPC
    begun: int = 0
    durable: int = 0
    lengths: list[int] = field(factory=list)

    def write(self, views: Sequence[memoryview]) -> None:
        if self.full and len(self.data) >= self.room:
            self.full -= 1
            raise OSError(self.reason, "words of the system")
        self.lengths.append(sum(map(len, views)))
        for view in views:
            self.data += view

    def begin_sync(self, length: int) -> None:
        self.begun += length
        assert self.begun <= len(self.data)

    def sync(self) -> None:
        self.durable = len(self.data)


@define
class Hours:
    """A watch that goes on only when somebody waits, or by `step` whenever it is read."""

    step: float = 0
    now: float = 0
    stopped: bool = False

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def is_set(self) -> bool:
        return self.stopped

    def wait(self, timeout: float) -> bool:
        self.now += timeout
        return self.stopped


def looped() -> Bulk:
    return Bulk(MemoryWire(looped=True), KEY, KEY)


def watcher(hours: Hours | None = None, **more: Any) -> Watcher:
    hours = hours or Hours()
    return Watcher(stop=hours, now=hours, **more)


def sent(*plains: bytes, cut: int = 1 << 20) -> Bulk:
    """A connection on which these records come, `cut` bytes at a time."""
    bulk = Bulk(MemoryWire(looped=True, cuts=repeat(cut)), KEY, KEY)
    for plain in plains:
        bulk.send(plain)
    return bulk


@given(
    size=st.integers(0, 3) | st.integers(0, 3 * ROOM + 1),
    offset=st.integers(0, ROOM + 1),
    piece=st.integers(1000, 200_000),
)
def test_there(size: int, offset: int, piece: int) -> None:
    """A file arrives whole, from whatever offset, with its digest; all records but one are full."""
    offset = min(offset, size)
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    bulk, landing = looped(), Target(bytearray(data[:offset]))
    send_all(bulk, Stream(data, piece, offset), watcher(), size=size, offset=offset)
    wire = bulk.wire
    assert isinstance(wire, MemoryWire)
    assert len(wire.coming) == size - offset + 44 * -(-(size - offset) // ROOM)
    digest = sha256(landing.data)
    receive_all(bulk, landing, digest, watcher(), size=size, offset=offset)
    assert landing.data == data
    assert digest.digest() == sha256(data).digest()


def test_empty_records() -> None:
    """Empty records between others are nothing; what comes behind the last byte is not read."""
    bulk, landing = sent(b"", b"ab", b"", b"c", b"next"), Target()
    receive_all(bulk, landing, sha256(), watcher(), size=3)
    assert landing.data == b"abc"
    assert bulk.receive() == b"next"


def test_too_much() -> None:
    """What is more than was offered is not written, not even its beginning."""
    landing = Target()
    with pytest.raises(RecordError, match="more than it offered"):
        receive_all(sent(b"ab", b"cd"), landing, sha256(), watcher(), size=3)
    assert landing.data == b"ab"


def test_nonsense_behind_good_records() -> None:
    """What came before is written: it is genuine."""
    bulk, landing, digest = sent(b"ab", b"cd"), Target(), sha256()
    bulk.wire.send(bytes(4))
    with pytest.raises(RecordError, match="of 0 bytes"):
        receive_all(bulk, landing, digest, watcher(), size=6)
    assert landing.data == b"abcd"
    assert digest.digest() == sha256(b"abcd").digest()


@pytest.mark.parametrize(("step", "longest"), [(0, LONG), (1, SHORT)], ids=["usual", "slow"])
def test_slow_writes_become_short(step: float, longest: int) -> None:
    """How long each write takes decides how much the later ones have."""
    records = [bytes(ROOM)] * (TRIED // ROOM + 2)
    landing = Target()
    receive_all(
        sent(*records), landing, sha256(), watcher(Hours(step=step)), size=len(records) * ROOM
    )
    assert landing.lengths[: TRIED // LONG] == [LONG] * (TRIED // LONG)
    assert set(landing.lengths[TRIED // LONG :]) == {longest}


def test_too_little() -> None:
    """A connection that ends too early leaves what had come, which is genuine."""
    landing, told = Target(), list[int]()
    with pytest.raises(WireError, match="closed"):
        watch = watcher(durable=told.append)
        receive_all(sent(b"ab"), landing, sha256(), watch, size=3)
    assert landing.data == b"ab"


def test_progress_and_durability() -> None:
    """Progress is told four times a second, a durable offset each second, and both at the end."""
    told, durable = list[int](), list[int]()
    landing = Target()
    watch = watcher(Hours(step=0.05), progress=told.append, durable=durable.append)
    receive_all(sent(*[b"x"] * 25, cut=FRONT + 1), landing, sha256(), watch, size=25)
    assert told[-1] == durable[-1] == landing.durable == 25
    assert told == sorted(told)
    assert durable == sorted(set(durable))
    assert 25 * 0.1 / DURABLE_EVERY <= len(durable) < len(told) < 25

    told.clear()
    send_all(looped(), Stream(bytes(18 * ROOM)), watch, size=18 * ROOM)
    assert told[-1] == 18 * ROOM
    assert 3 <= len(told) <= 6


def test_durable_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a fast connection the offset becomes durable after so many bytes, begun before."""
    monkeypatch.setattr(storing, "DURABLE_BYTES", 10)
    monkeypatch.setattr(storing, "BEGIN_BYTES", 8)
    landing, durable = Target(), list[int]()
    watch = watcher(durable=durable.append)
    receive_all(sent(*[b"xxxx"] * 7, cut=FRONT + 4), landing, sha256(), watch, size=28)
    assert durable == [12, 24, 28]
    assert landing.begun == 24


def test_nobody_wants_to_know() -> None:
    """Without a listener nothing is made durable on the way: that costs time."""
    landing = Target()
    receive_all(sent(b"abc"), landing, sha256(), watcher(), size=3)
    assert (landing.begun, landing.durable) == (0, 0)


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(reason: int) -> None:
    """A full disk is waited for, and told once."""
    landing, hours, full = Target(full=3, reason=reason), Hours(), list[float]()
    watch = watcher(hours, full=lambda: full.append(hours.now))
    receive_all(sent(b"abcd", b"ef"), landing, sha256(), watch, size=6)
    assert landing.data == b"abcdef"
    assert (full, hours.now) == ([0], 6)


def test_full_inside_a_record() -> None:
    """What is written of a record when the disk is full is not written again."""
    landing, data = Target(full=1, room=LONG), bytes(range(250)) * 600
    receive_all(sent(data[:50_000], data[50_000:]), landing, sha256(), watcher(), size=len(data))
    assert landing.data == data
    assert landing.full == 0


def test_full_for_too_long() -> None:
    """A disk that stays full ends the transfer after ten minutes."""
    hours = Hours()
    with pytest.raises(OutOfSpace, match="Make room"):
        receive_all(sent(b"abcd"), Target(full=10_000), sha256(), watcher(hours), size=4)
    assert hours.now == storing.FULL_LONGEST


def test_stopped_while_full() -> None:
    """Whoever stops a transfer need not wait for the disk."""
    hours = Hours()
    watch = watcher(hours, full=lambda: setattr(hours, "stopped", True))
    with pytest.raises(WireError, match="interrupted"):
        receive_all(sent(b"abcd"), Target(full=10_000), sha256(), watch, size=4)


@pytest.mark.parametrize("full", [0, 1])
def test_broken_disk(full: int) -> None:
    """Another error of the disk is the caller's, at once or after there was no room."""
    landing = Target(full=2, reason=errno.EIO)
    if full:
        landing = Target(full=2)
    watch = watcher(full=lambda: setattr(landing, "reason", errno.EIO))
    with pytest.raises(OSError, match="words of the system"):
        receive_all(sent(b"abcd"), landing, sha256(), watch, size=4)


def test_not_kept() -> None:
    """If the system cannot keep what was written, this is not tried again: it might lie then."""

    class Failing(Target):
        def sync(self) -> None:
            raise OSError(errno.ENOSPC, "words of the system")

    durable = list[int]()
    with pytest.raises(OSError, match="words of the system"):
        watch = watcher(durable=durable.append)
        receive_all(sent(b"abcd"), Failing(), sha256(), watch, size=4)
    assert durable == []


@pytest.mark.parametrize("both", [send_all, receive_all])
def test_stopped(both: Callable[..., None]) -> None:
    """A transfer that is to stop moves nothing more."""
    watch = watcher(Hours(stopped=True))
    with pytest.raises(WireError, match="interrupted"):
        if both is send_all:
            send_all(looped(), Stream(b"abc"), watch, size=3)
        else:
            receive_all(sent(b"abc"), Target(), sha256(), watch, size=3)


def test_changed_source() -> None:
    """A source that has changed is never sent whole."""
    bulk = looped()
    with pytest.raises(Changed):
        send_all(bulk, Stream(bytes(ROOM + 1), changed=True), watcher(), size=ROOM + 1)
    assert len(bulk.receive()) == ROOM
    with pytest.raises(WireError, match="closed"):
        bulk.receive()


@pytest.mark.parametrize(("changed", "error"), [(True, Changed), (False, pumping.SourceTooShort)])
def test_short_source(changed: bool, error: type[Exception]) -> None:
    """A source that ends early is an error, in its own words if it has any."""
    with pytest.raises(error):
        send_all(looped(), Stream(b"ab", changed=changed), watcher(), size=3)


def test_json() -> None:
    """One record carries one JSON object."""
    bulk = looped()
    pumping.send_json(bulk, {"ack": "ok"})
    assert pumping.receive_json(bulk) == {"ack": "ok"}


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}', b"{}" + b" " * pumping.LONGEST_JSON]
)
def test_bad_json(said: bytes) -> None:
    """Anything else is refused in words."""
    with pytest.raises(RecordError, match="a message that"):
        pumping.receive_json(sent(said))


def test_late_ack_of_nothing() -> None:
    """A receiver that waits for a record although there are no bytes gets an empty one."""
    there, here = Bulk(MemoryWire(), KEY, KEY), MemoryWire()
    pumping.send_json(there, {"ack": "ok"})
    assert isinstance(there.wire, MemoryWire)
    acknowledgement = there.wire.sent
    here.waited = lambda _: here.coming.extend(acknowledgement) if here.sent else None
    assert pumping.receive_ack(Bulk(here, KEY, KEY), watcher(), size=0) == {"ack": "ok"}
    assert len(here.sent) == 44


def test_prompt_ack_of_nothing() -> None:
    """A receiver that acknowledges nothing at once, as most do, is sent nothing."""
    bulk = sent(b'{"ack": "ok"}')
    assert pumping.receive_ack(bulk, watcher(), size=0) == {"ack": "ok"}


def test_slow_ack() -> None:
    """A receiver may unpack a folder before it acknowledges: a second for each megabyte."""
    hours = Hours()
    wire = MemoryWire(waited=lambda seconds: setattr(hours, "now", hours.now + seconds))
    with pytest.raises(WireError, match="closed"):
        pumping.receive_ack(Bulk(wire, KEY, KEY), watcher(hours), size=50_000_000)
    assert hours.now == pytest.approx(50, abs=1)


def test_from_disk_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real source goes into a real landing, durable on the way."""
    monkeypatch.setattr(storing, "BEGIN_BYTES", 100_000)
    monkeypatch.setattr(storing, "DURABLE_BYTES", 300_000)
    data = bytes(range(255)) * 5000
    (tmp_path / "source").write_bytes(data)
    paths = [tmp_path / "source"]
    source, durable, bulk = measure(paths), list[int](), looped()
    watch = watcher(durable=durable.append)
    with closing(open_source(paths, source)) as stream:
        send_all(bulk, stream, watch, size=source.size)
    landing, digest = Landing(tmp_path, "target", "key"), sha256()
    with closing(landing):
        receive_all(bulk, landing, digest, watch, size=source.size)
        assert digest.hexdigest() == source.sha256 == landing.hasher(source.size).hexdigest()
    assert len(durable) >= 3
    assert durable[-1] == len(data)


def test_two_threads_over_sockets() -> None:
    """Sender and receiver, each in its thread, over a real connection."""
    import socket

    from holdfast.transit.wire import SocketWire

    ours, theirs = socket.socketpair()
    data = bytes(range(251)) * 20_000
    landing, digest = Target(), sha256()
    watch = Watcher(stop=threading.Event())

    def receive() -> None:
        bulk = Bulk(SocketWire(theirs.detach()), KEY, bytes(32))
        receive_all(bulk, landing, digest, watch, size=len(data))
        pumping.send_json(bulk, {"ack": "ok", "sha256": digest.hexdigest()})
        bulk.wire.close()

    thread = threading.Thread(target=receive)
    thread.start()
    bulk = Bulk(SocketWire(ours.detach()), bytes(32), KEY)
    send_all(bulk, Stream(data), watch, size=len(data))
    ack = pumping.receive_ack(bulk, watch, size=len(data))
    thread.join()
    bulk.wire.close()
    assert ack == {"ack": "ok", "sha256": sha256(data).hexdigest()}
    assert landing.data == data
