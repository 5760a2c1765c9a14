"""A file that changes while it is sent: what leaves is the beginning of what was offered, or all.

The sender's thread, with a connection in memory; the file changes between two records.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from attrs import define

from holdfast.flows.shipped.cargo import CannotGoOn, Line
from holdfast.flows.shipped.opening import SALT
from holdfast.flows.shipped.sending import Outgoing
from holdfast.flows.shipped.transferring import Reach, Sending
from holdfast.transfer.sources import measure
from holdfast.transit.bulk import ROOM, Bulk
from holdfast.transit.errors import WireError
from holdfast.transit.keys import TransitKeys
from tests.transit.memory_wire import MemoryWire

KEY = bytes(range(32))
RECORDS = 5
OLD = os.urandom(RECORDS * ROOM - 100)
NEW = os.urandom(len(OLD))


@define
class Peer(MemoryWire):
    """The connection, and a Holdfast at its other end that has nothing yet."""

    keys: TransitKeys | None = None

    def send(self, data: bytes | bytearray | memoryview) -> None:
        if self.keys is not None:
            super().send(data)
            return
        salt = bytes(SALT)
        self.keys = TransitKeys(KEY).fresh(bytes(data), salt)
        said = MemoryWire()
        Bulk(said, self.keys.record_key("receiver"), bytes(32)).send(
            json.dumps({"offset": 0, "sha256": ""}).encode()
        )
        self.coming += salt + said.sent


def touch(path: Path) -> None:
    os.utime(path)


def truncate(path: Path) -> None:
    os.truncate(path, len(OLD) // 2)


def cut_and_filled(path: Path) -> None:
    path.write_bytes(NEW)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(NEW)


def replaced(path: Path) -> None:
    path.with_suffix(".new").write_bytes(NEW)
    path.with_suffix(".new").replace(path)


def removed(path: Path) -> None:
    path.unlink()


Change = Callable[[Path], None]
CHANGES = [touch, truncate, cut_and_filled, overwritten, replaced, removed]


def records(wire: MemoryWire, keys: TransitKeys) -> bytes:
    """Return the content of what was sent."""
    reader = Bulk(MemoryWire(coming=wire.sent), bytes(32), keys.record_key("sender"))
    found = b""
    with suppress(WireError):  # the end
        while True:
            found += bytes(reader.receive())
    return found


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("resumes", [False, True], ids=["stock", "holdfast"])
@pytest.mark.parametrize("before", [1, 3, RECORDS])
def test_never_a_mixture(tmp_path: Path, change: Change, resumes: bool, before: int) -> None:
    """Whoever reads it by name sees another file; who has it open goes on with the old one."""
    path = tmp_path / "it"
    path.write_bytes(OLD)
    os.utime(path, (1, 1))
    source = measure([path])
    paced = [0]

    def pace(_: int) -> None:
        paced[0] += 1
        if paced[0] == before:
            change(path)

    wire = Peer() if resumes else MemoryWire()
    line = Line(wire, KEY, resumes, Event(), _nothing, _nothing, count(0.0).__next__, pace)
    reach = Reach(KEY, 0, False, (), (), resumes=resumes)
    with pytest.raises(Exception, match=r"changed meanwhile|closed") as failed:
        Outgoing().carry(Sending("going", reach, (path,), source), line)
    keys = wire.keys if isinstance(wire, Peer) else TransitKeys(KEY)
    assert keys is not None
    content = records(wire, keys)
    if resumes:  # where it begins, and by which cipher, is its first record
        content = content.partition(b"}")[2]
    assert OLD.startswith(content)
    if change in (replaced, removed):
        assert content == OLD, "it is open, and what was offered; only the receipt is missing"
    else:
        assert len(content) == (before - 1) * ROOM
        assert isinstance(failed.value, CannotGoOn)


def _nothing(_: Any) -> None:
    pass
