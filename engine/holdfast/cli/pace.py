"""How far a transfer is, how fast it goes and how long it will take, in one line of any width."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from attrs import define, field
from rich.cells import cell_len

from holdfast.cli.brief import narrowed
from holdfast.transfer.landing import in_units
from holdfast.transfer.names import shown

WINDOW: Final = 10.0
"""Seconds over which the rate is measured."""

STILL: Final = 3.0
"""Seconds without news after which nothing seems to move. There is news about once a second."""

_SHORTEST_NAME: Final = 8
"""Columns of a name that are still worth showing."""

_GAP: Final = "  "

_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
"""Of time: the seconds of each, its name, and the same of the next smaller one."""


@define
class Pace:
    """The rate of the last seconds: what came before, perhaps in another process, says nothing."""

    _seen: deque[tuple[float, int]] = field(factory=deque, init=False)
    """When, in seconds, and how many bytes had moved."""

    def rate(self, now: float, moved: int) -> float | None:
        """Return bytes a second, or None as long as that is not known.

        Args:
            now: seconds of a monotonic clock.
            moved: bytes so far, of the whole transfer.
        """
        if self._seen and moved < self._seen[-1][1]:
            self._seen.clear()  # it begins again, further back
        if not self._seen or moved > self._seen[-1][1]:
            self._seen.append((now, moved))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW:
            self._seen.popleft()
        (since, before), (until, _) = self._seen[0], self._seen[-1]
        if now - until >= STILL:
            until = now  # it stands still: the longer, the slower
        if until <= since or moved == before:
            return None
        return (moved - before) / (until - since)


def line(name: str, moved: int, size: int, rate: float | None, columns: int) -> str:
    """Return the line that tells how far a transfer is, as much of it as fits.

    Args:
        name: of the file, as it is; it is made harmless here.
        moved: bytes so far.
        size: bytes in all.
        rate: bytes a second.
        columns: how wide the line may be.
    """
    percent = f"{_percent(moved, size)} %"
    bytes_ = in_units(moved)
    speed, left, short = [], [], []
    if rate:
        short = [duration(math.ceil((size - moved) / rate))]
        speed, left = [f"{in_units(round(rate))}/s"], [f"{short[0]} left"]
    whole = [percent, f"{bytes_} of {in_units(size)}", *speed, *left]
    room = columns - cell_len(_GAP.join(["", *whole]))
    if room >= _SHORTEST_NAME:
        return _GAP.join([_cut(shown(name), room), *whole])
    for parts in (whole, [percent, bytes_, *speed, *left], [percent, bytes_, *speed, *short]):
        text = _GAP.join(parts)
        if cell_len(text) <= columns:
            return text
    return percent


def duration(seconds: float) -> str:
    """Return a time as people say it, in its two largest units: `3 min 20 s`."""
    whole = round(seconds)
    for size, unit, smaller, of in _UNITS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {of}" if rest else "")
    return f"{whole} s"


def _percent(moved: int, size: int) -> int:
    """Return whole percents: 100 only if nothing is missing."""
    return 100 if moved >= size else 100 * moved // size


def _cut(name: str, room: int) -> str:
    return name if cell_len(name) <= room else narrowed(name, room - 1) + "…"
