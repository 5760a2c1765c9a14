"""How much of a file is written at once.

For a long write Linux looks for as much free memory in one piece, file systems permitting, and is
done sooner if it finds that. Where free memory is in small pieces, though, looking took six to ten
times as long as writing does (measured with ext4), until the system has made larger ones.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Final

LONG: Final = 128 * 1024
SHORT: Final = 32 * 1024
"""Bytes. Linux finds this much without looking: up to eight pages are not costly to it."""

SLOW: Final = 1e-9
"""Seconds a byte of a write that does not find its memory at once; 0.25e-9 are usual."""

TRIED: Final = 8 * LONG
"""After so many bytes in long pieces, the quickest of them tells how memory is. Others may have
waited for a processor or the disk."""

SHORT_FOR: Final = 64 * 1024 * 1024
"""After so many bytes in short pieces, long ones are tried again."""


class PieceSize:
    """Bytes that are written at once, by how long that took before."""

    def __init__(self) -> None:
        self.bytes = LONG
        self._begin(TRIED)

    def _begin(self, until: int) -> None:
        self._written, self._until, self._quickest = 0, until, inf

    def wrote(self, length: int, seconds: float) -> None:
        """A piece was written: `length` bytes, more than none."""
        self._written += length
        self._quickest = min(self._quickest, seconds / length)
        if self._written >= self._until:
            slow = self.bytes == LONG and self._quickest > SLOW
            self.bytes = SHORT if slow else LONG
            self._begin(SHORT_FOR if slow else TRIED)


def pieces(contents: Iterable[memoryview], offset: int, size: int) -> Iterator[list[memoryview]]:
    """Cut what belongs at `offset` of a file into what is written at once.

    No piece crosses a multiple of `size`: the system keeps a file in pages, and what ends within
    one costs a third more.
    """
    piece: list[memoryview] = []
    room = size - offset % size
    for content in contents:
        rest = content
        while rest:
            piece.append(rest[:room])
            rest, room = rest[room:], room - len(piece[-1])
            if room == 0:
                yield piece
                piece, room = [], size
    if piece:
        yield piece
