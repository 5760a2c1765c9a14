"""Both roles, when process after process dies at any system call, over one TCP connection.

The lives are in this process; the connection is a real one. The other side is a stock client as far
as the bytes go: it has one connection, and counts its records.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.flows.shipped.cargo import CannotGoOn, Line
from holdfast.flows.shipped.receiving import Arrived, Incoming
from holdfast.flows.shipped.sending import Outgoing
from holdfast.flows.shipped.transferring import Reach, Receiving, Sending, Target
from holdfast.transfer.landing import Landing
from holdfast.transfer.messages import Offer
from holdfast.transfer.sources import measure
from holdfast.transit.bulk import ROOM
from holdfast.transit.kept_wire import KeptWire
from holdfast.transit.keys import GO, TransitKeys
from holdfast.transit.positions import Position, position_of
from holdfast.transit.records import Opener, Sealer

KEYS = TransitKeys(bytes(range(32)))
REACH = Reach(KEYS.key, 0, True, (), (), False)
FLOW = "0" * 32

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="this system does not count a connection's bytes"
)


class Died(BaseException):
    """A process was killed."""


def die() -> None:
    """What happens to a life before one of its system calls."""
    raise Died


@define
class Fuse:
    """Has something happen before one of a life's system calls."""

    calls: int
    happens: Callable[[], object] = die

    def burn(self) -> None:
        self.calls -= 1
        if self.calls == -1:
            self.happens()


class MortalWire(KeptWire):
    """A wire whose process may die."""

    def __init__(self, *args: Any, fuse: Fuse) -> None:
        super().__init__(*args)
        self.fuse = fuse

    def _guarded(self, call: Callable[[Any], Any], argument: Any) -> Any:
        self.fuse.burn()
        return super()._guarded(call, argument)


class MortalLanding(Landing):
    """A landing whose process may die."""

    fuse: Fuse

    def write(self, views: Sequence[memoryview]) -> None:
        self.fuse.burn()
        super().write(views[:1])
        self.fuse.burn()
        super().write(views[1:])

    def finish_file(self, *, overwrite: bool = False) -> Path:
        self.fuse.burn()
        path = super().finish_file(overwrite=overwrite)
        self.fuse.burn()
        return path


@define
class MortalIncoming(Incoming):
    """A receiver whose process may die."""

    fuse: Fuse = field(kw_only=True)

    def _landing(self, wanted: Receiving) -> Landing:
        landing = MortalLanding(Path(wanted.target.directory), wanted.target.name, self.key)
        landing.fuse = self.fuse
        return landing


@define
class Kept:
    """A connection, and our lives on it."""

    ours: socket.socket
    theirs: socket.socket
    begins: Position = field(init=False)
    forgotten: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        begins = position_of(self.ours)
        assert begins is not None
        self.begins = begins

    def live(self, work: Callable[[Line], Any], fuse: Fuse) -> Any:
        """One life. It is not closed at its end: the keeper has it, too."""
        wire = MortalWire(self.ours.dup().detach(), self.begins, self._forget, fuse=fuse)
        line = Line(wire, KEYS.key, False, Event(), lambda _: None, lambda _: None, lambda: 0.0)
        try:
            return work(line)
        finally:
            wire.leave()
            wire.close()

    def live_and_die(self, work: Callable[[Line], Any], deaths: Sequence[int]) -> Any:
        """Several lives, of which the last one ends well."""
        for calls in deaths:
            try:
                return self.live(work, Fuse(calls))
            except Died:
                continue
        return self.live(work, Fuse(-1))

    def _forget(self) -> None:
        self.forgotten += 1


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """For the other side."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def connected() -> Kept:
    """A connection whose buffers hold little, so that everything takes many calls."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        ours.connect(server.getsockname())
        theirs, _ = server.accept()
    theirs.settimeout(30)
    return Kept(ours, theirs)


def stock_receiver(kept: Kept, size: int) -> bytes:
    """Receive it all, and acknowledge it."""
    with kept.theirs as there:
        opener, got, heard = Opener(KEYS.record_key("sender")), b"", there.recv(len(GO))
        while len(heard) < len(GO):
            heard += there.recv(len(GO) - len(heard))
        assert heard == GO
        while len(got) < size:
            came = there.recv(65536)
            if not came:
                return got
            got += b"".join(opener.feed(came))
        digest = hashlib.sha256(got).hexdigest()
        said = f'{{"ack": "ok", "sha256": "{digest}"}}'.encode()
        there.sendall(Sealer(KEYS.record_key("receiver")).seal(said))
        return got


def stock_sender(kept: Kept, data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Wait to be chosen, send it all in records of these sizes, and hear what it is told."""
    with kept.theirs as there:
        line, heard = KEYS.receiver_line, b""
        while len(heard) < len(line):
            heard += there.recv(len(line) - len(heard))
        assert heard == line
        sealer, offset = Sealer(KEYS.record_key("sender")), 0
        there.sendall(GO)
        for number in range(10**6):
            if offset >= len(data):
                break
            size = cuts[number % len(cuts)]
            there.sendall(sealer.seal(data[offset : offset + size]))
            offset += size
        opener, told = Opener(KEYS.record_key("receiver")), list[bytes]()
        while not told and (came := there.recv(65536)):
            told += opener.feed(came)
        return told


DEATHS = st.lists(st.integers(0, 60), max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files are."""
    return tmp_path_factory.mktemp("keeping")


def contents(size: int) -> bytes:
    """Bytes that are not like others."""
    return random.Random(size).randbytes(size)


@settings(max_examples=25)
@given(st.sampled_from([0, 1, ROOM - 1, ROOM, 2 * ROOM, 3 * ROOM + 17]), DEATHS)
def test_sending(folder: Path, threads: ThreadPoolExecutor, size: int, deaths: list[int]) -> None:
    """The other side gets what a process would have sent that did not die."""
    what = folder / "what"
    what.write_bytes(contents(size))
    kept, wanted = connected(), Sending("going", REACH, (what,), measure([what]))
    received = threads.submit(stock_receiver, kept, size)
    with kept.ours:
        acknowledged = kept.live_and_die(lambda line: Outgoing().carry(wanted, line), deaths)
    assert received.result() == what.read_bytes()
    assert acknowledged == wanted.source.sha256


def replaced(what: Path) -> None:
    """Another file gets its name."""
    other = what.with_name("other")
    other.write_bytes(bytes(what.stat().st_size))
    other.replace(what)


def truncated(what: Path) -> None:
    """It becomes shorter."""
    os.truncate(what, what.stat().st_size // 2)


def touched(what: Path) -> None:
    """Something looks as if it had changed."""
    os.utime(what)


def rewritten(what: Path) -> None:
    """It gets other contents of the same size."""
    with what.open("r+b") as file:
        file.write(bytes(what.stat().st_size))


@pytest.mark.parametrize("dies", [False, True], ids=["alive", "killed"])
@pytest.mark.parametrize("change", [replaced, truncated, touched, rewritten])
def test_a_source_that_changes(
    tmp_path: Path, threads: ThreadPoolExecutor, change: Callable[[Path], None], dies: bool
) -> None:
    """Nobody gets a mixture: the rest does not come, or what was opened is sent to its end."""
    what, data = tmp_path / "what", contents(7 * ROOM)
    what.write_bytes(data)
    kept, wanted = connected(), Sending("going", REACH, (what,), measure([what]))
    received = threads.submit(stock_receiver, kept, len(data))

    def work(line: Line) -> Any:
        return Outgoing().carry(wanted, line)

    def happens() -> None:
        change(what)
        if dies:
            raise Died

    with kept.ours:
        if change is replaced and not dies:
            kept.live(work, Fuse(30, happens))
        else:
            with suppress(Died):
                with pytest.raises(CannotGoOn, match=r"changed|shorter"):
                    kept.live(work, Fuse(30, happens))
            with pytest.raises(CannotGoOn, match=r"changed"):
                kept.live(work, Fuse(-1))
        kept.ours.shutdown(socket.SHUT_RDWR)
    got = received.result()
    assert data.startswith(got)
    assert (got == data) == (change is replaced and not dies)


@settings(max_examples=25)
@given(
    st.sampled_from([0, 1, 70_000, 1_500_000]),
    st.lists(st.sampled_from([1, 100, 16_384, ROOM]), min_size=1, max_size=3),
    DEATHS,
)
def test_receiving(
    folder: Path, threads: ThreadPoolExecutor, size: int, cuts: list[int], deaths: list[int]
) -> None:
    """The file is whole and right, and the other side hears so once."""
    cuts = [max(each, size // 50) for each in cuts]
    assert not received(folder, threads, contents(size), cuts, deaths)


def test_records_that_cannot_be_left_unread(folder: Path, threads: ThreadPoolExecutor) -> None:
    """They come like any others, and the connection is kept no longer."""
    assert received(folder, threads, contents(900_000), [400_000], []) == 1


def received(
    folder: Path, threads: ThreadPoolExecutor, data: bytes, cuts: list[int], deaths: list[int]
) -> int:
    """Receive, see that all is right, and return how often the keeper was told to forget it."""
    kept, into, size = connected(), folder / os.urandom(8).hex(), len(data)
    into.mkdir()
    told = threads.submit(stock_sender, kept, data, cuts)
    offer, target = Offer("file", "got", size, 1, size), Target(str(into), "got", "got")
    wanted = Receiving("going", REACH, offer, target, 0)

    def work(line: Line) -> None:
        nonlocal wanted
        assert isinstance(line.wire, MortalWire)
        incoming = MortalIncoming(FLOW, fuse=line.wire.fuse)
        arrived = incoming.carry(wanted, line)
        assert isinstance(arrived, Arrived)
        wanted = evolve(wanted, stage="landed", sha256=arrived.sha256)
        assert incoming._acknowledge(wanted, arrived)

    with kept.ours:
        kept.live_and_die(work, deaths)
    digest = hashlib.sha256(data).hexdigest()
    assert told.result() == [f'{{"ack": "ok", "sha256": "{digest}"}}'.encode()]
    assert {each.name: each.read_bytes() for each in into.iterdir()} == {"got": data}
    return kept.forgotten
