"""Sharing measurements: many who are sent the same, and what has changed meanwhile."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock

import pytest
from attrs import define, field

from holdfast.transfer import shared
from holdfast.transfer.errors import SourceError
from holdfast.transfer.shared import MOST, Measurements
from holdfast.transfer.sources import Source, measure

LONG_AGO = time.time() - 3600


@define
class Counting:
    """Measures, and counts what was read."""

    read: list[Path] = field(factory=list)
    lock: Lock = field(factory=Lock)

    def __call__(self, paths: Sequence[Path]) -> Source:
        with self.lock:
            self.read += paths
        return measure(paths)


@pytest.fixture
def read() -> Counting:
    return Counting()


@pytest.fixture
def measurements(read: Counting) -> Measurements:
    return Measurements(read)


def made(path: Path, content: bytes = b"profile", at: float = LONG_AGO) -> Path:
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


def test_many_at_once(tmp_path: Path, measurements: Measurements, read: Counting) -> None:
    """All who want the same at the same time have one measurement, each under its own name."""
    path, start = made(tmp_path / "profile.ovpn"), Barrier(8)

    def wants(number: int) -> Source:
        start.wait()
        return measurements.measure([path], f"{number}.ovpn" if number else None)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(wants, range(8)))
    assert read.read == [path]
    assert [each.name for each in found] == ["profile.ovpn", *(f"{n}.ovpn" for n in range(1, 8))]
    assert {each.sha256 for each in found} == {measure([path]).sha256}


@pytest.mark.parametrize("folder", [False, True])
def test_what_has_changed_is_read_again(
    tmp_path: Path, measurements: Measurements, read: Counting, folder: bool
) -> None:
    """Its stamp is another one; so it is with a folder."""
    (tmp_path / "it").mkdir()
    file = made(tmp_path / "it/a")
    path = tmp_path / "it" if folder else file
    first = measurements.measure([path])
    assert measurements.measure([path]) == first
    made(file, b"another", LONG_AGO + 1)
    assert measurements.measure([path]).sha256 != first.sha256
    assert read.read == [path, path]


def test_what_changes_just_now(tmp_path: Path, measurements: Measurements, read: Counting) -> None:
    """Two changes within a tick have one stamp: nobody relies on it so early."""
    path = made(tmp_path / "a", b"one", at=(now := time.time()))
    first = measurements.measure([path])
    made(path, b"two", at=now)
    assert measurements.measure([path]).sha256 != first.sha256


def test_how_many_are_kept(
    tmp_path: Path, measurements: Measurements, read: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were wanted last; an error is kept for nobody."""
    monkeypatch.setattr(shared, "MOST", 2)
    assert MOST > 2
    a, b, c = (made(tmp_path / name) for name in "abc")
    for path in (a, b, a, c, a, b):
        measurements.measure([path])
    assert read.read == [a, b, c, b]
    a.unlink()
    for _ in range(2):
        with pytest.raises(SourceError, match="no"):
            measurements.measure([a])
