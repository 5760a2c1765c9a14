"""How often a transfer tells its flow how far it is, and how fast that is."""

import math
from collections.abc import Callable

from attrs import define


def at_most_each_second(
    tell: Callable[[int], None], now: Callable[[], float], size: int
) -> Callable[[int], None]:
    """Return what passes on the first of many calls in a second, and the end: each is a commit.

    The end may be followed by a long silence, and what is said of a transfer that breaks then
    depends on it.

    Args:
        tell: gets the bytes that have moved.
        now: seconds that only go forward.
        size: bytes in all.
    """
    told_at: float | None = None
    told = -1

    def maybe(moved: int) -> None:
        nonlocal told_at, told
        time = now()
        is_time = told_at is None or time >= told_at + 1.0
        if moved != told and (is_time or moved == size):
            told_at, told = time, moved
            tell(moved)

    return maybe


@define
class Speed:
    """How fast bytes move since they last began to, for those who look; saved with its flow.

    Args:
        since: when that was, in seconds since the epoch; None while nothing moves.
        moved: how many had moved before.
    """

    since: float | None = None
    moved: int = 0

    def begin(self, now: float, moved: int) -> None:
        """There is a connection."""
        self.since, self.moved = now, moved

    def pause(self) -> None:
        """Nothing moves for a while, which does not count."""
        self.since = None

    def figures(self, now: float, moved: int, size: int) -> dict[str, int | None]:
        """Return what to publish: `rate`, in bytes a second, and `left`, in seconds.

        Each is None as long as it is not known, or does not matter any more.
        """
        if self.since is None or moved < self.moved:
            self.begin(now, moved)
        since = now if self.since is None else self.since
        if now <= since or moved == self.moved:
            return {"rate": None, "left": None}
        rate = (moved - self.moved) / (now - since)
        return {"rate": round(rate), "left": math.ceil((size - moved) / rate) or None}
