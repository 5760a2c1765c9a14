"""How often the garbage collector looks, in a process that serves.

Whenever the objects that have lived for a while have grown by a quarter, it looks at all of them,
and nothing else runs meanwhile. Thousands of commits that are under way at once live for just long
enough to be counted among those. So under load it looked at all flows twice in a second, and before
that at all that was ever imported, too.
"""

import gc
from typing import Final

YOUNG: Final = 10_000
"""New objects after which it looks at the new ones. Most of what an event makes is gone by then; to
look at so many takes some 2 ms, and the memory of what it would have found earlier is 2 MB."""


def collect_seldom() -> None:
    """Call this once everything is imported, which is never looked at again."""
    gc.freeze()
    gc.set_threshold(YOUNG)
