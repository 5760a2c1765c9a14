"""How often a transfer tells its flow how far it is."""

import time
from collections.abc import Callable


def at_most_each_second(tell: Callable[[int], None]) -> Callable[[int], None]:
    """Return what passes on the first of many calls in a second: each becomes a commit."""
    told_at = 0.0

    def maybe(moved: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now >= told_at + 1.0:
            told_at = now
            tell(moved)

    return maybe
