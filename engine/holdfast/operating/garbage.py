"""How often the garbage collector looks, and at what.

Whenever the objects that have lived for a while have grown by a quarter, it looks at all of them,
and nothing else runs meanwhile. Thousands of commits that are under way at once live for just long
enough to be counted among those. So under load it looked at all flows twice in a second, and before
that at all that was ever imported, too. A command that only shows something spent a fifth of its
time on that: while it imported, and once more when it ended.
"""

import gc
from typing import Final

IMPORTED: Final = 50_000
"""New objects after which it looks at the new ones, at first: hardly anything that imports make is
garbage, less than 1 MB in all."""

YOUNG: Final = 10_000
"""The same in a process that serves. Most of what an event makes is gone by then; to look at so
many takes some 2 ms, and the memory of what it would have found earlier is 2 MB."""


def begin() -> None:
    """Call this before much is imported."""
    gc.set_threshold(IMPORTED)


def serve() -> None:
    """Call this once everything is imported, which is never looked at again."""
    gc.freeze()
    gc.set_threshold(YOUNG)


def end() -> None:
    """Call this when the process is about to end: its memory goes all at once."""
    gc.freeze()
