"""What the two ends of a dilated wormhole say to each other on each subchannel.

Every record is known in advance, so that each end can check every byte, boundary and order of what
it gets: a stock peer drops what comes under a number that it knows, and notices nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import frozen

ENDS = ("ann", "bob")
"""The first one is always ours."""


@frozen
class Script:
    """One subchannel.

    Args:
        name: its subprotocol, which no other subchannel has.
        opener: which end opens it, 0 or 1.
        counts: how many records each end writes.
        planned: whether our ends write plans instead of bytes.
        half: whether both ends close the two directions separately.
        pace: seconds between two writes, on average.
        after: seconds after which it is opened, or listened for.
        burst: records that are written at once, at most.
        producer: what our ends write as: "push" or "pull" as Twisted's producers, or "".
        moody: whether our ends stop reading now and then.
    """

    name: str
    opener: int
    counts: tuple[int, int]
    planned: bool = False
    half: bool = False
    pace: float = 0.05
    after: tuple[float, float] = (0.0, 0.0)
    burst: int = 4
    producer: str = ""
    moody: bool = False

    def record(self, by: int, index: int) -> bytes:
        """The record that this end writes as its `index`-th."""
        if index % 11 == 3:
            return b""
        start = f"{self.name}/{ENDS[by]}/{index}/".encode()
        return start + b"." * (index * 389 % (4000 if index % 5 == 0 else 300))


class Speech:
    """What one end has written and read of a script; it says what is wrong.

    Args:
        script: what is to be said.
        end: which end this is.
        violate: is told what is wrong.
    """

    def __init__(self, script: Script, end: int, violate: Callable[[str], None]) -> None:
        self.script = script
        self.end = end
        self.written = 0
        self.read = 0
        self._violate = violate

    @property
    def has_written(self) -> bool:
        return self.written == self.script.counts[self.end]

    @property
    def has_read(self) -> bool:
        return self.read == self.script.counts[1 - self.end]

    def hear(self, data: bytes) -> None:
        """A record has come."""
        script, other = self.script, 1 - self.end
        if self.has_read:
            self._wrong(f"gets a record more than the {self.read} that there are")
        elif data != script.record(other, self.read):
            self._wrong(f"gets something else as record {self.read}: {data[:30]!r}")
        self.read += 1

    def hear_end(self) -> None:
        """The other end will write no more."""
        if not self.has_read:
            self._wrong(f"is told of the end after {self.read} records")

    def next(self, random: Random) -> range:
        """Which records are written next."""
        left = self.script.counts[self.end] - self.written
        number = min(left, random.randint(1, self.script.burst))
        return range(self.written, self.written + number)

    def _wrong(self, what: str) -> None:
        self._violate(f"{ENDS[self.end]} {what} on {self.script.name}")
