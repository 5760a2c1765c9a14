"""A wire that holds in memory what was sent, and cuts what comes as it is told."""

from collections.abc import Callable, Iterator
from itertools import repeat

from attrs import define, field

from holdfast.transit.errors import WireError
from holdfast.transit.unread import Looks
from holdfast.transit.wire import Wire


@define
class MemoryWire:
    """One end: `coming` is what it will receive, in pieces of at most `cuts` bytes; then the end.

    If `looped`, it receives what it sends.
    """

    coming: bytearray = field(factory=bytearray)
    cuts: Iterator[int] = field(factory=lambda: repeat(1 << 20))
    looped: bool = False
    sent: bytearray = field(factory=bytearray)
    largest: int = 0
    """The most that the other end was ready to take at once."""
    waited: Callable[[float], None] = lambda _: None
    """Called by `readable` when there is nothing."""

    def send(self, data: bytes | bytearray | memoryview) -> None:
        (self.coming if self.looped else self.sent).extend(data)

    def receive_into(self, buffer: memoryview) -> int:
        self.largest = max(self.largest, len(buffer))
        count = min(len(buffer), len(self.coming), next(self.cuts))
        buffer[:count] = self.coming[:count]
        del self.coming[:count]
        return count

    def readable(self, seconds: float) -> bool:
        if not self.coming:
            self.waited(seconds)
        return bool(self.coming)

    def interrupt(self) -> None:
        raise WireError

    def close(self) -> None:
        self.coming.clear()


def fits(wire: MemoryWire) -> Wire:
    """What the type checker must see."""
    return wire


@define
class LookingWire(MemoryWire):
    """The same, whose bytes may be looked at first."""

    forgotten: bool = False

    def look_into(self, buffer: memoryview, least: int) -> int:
        if len(self.coming) < least:
            raise WireError
        count = min(len(buffer), len(self.coming))
        buffer[:count] = self.coming[:count]
        return count

    def skip(self, length: int, scratch: memoryview) -> None:
        assert length <= len(scratch)
        del self.coming[:length]

    def waiting(self) -> int:
        return len(self.coming)

    def forget(self) -> None:
        self.forgotten = True


def looks(wire: LookingWire) -> Looks:
    """What the type checker must see."""
    return wire
