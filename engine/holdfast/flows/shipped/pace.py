"""How often a transfer tells its flow how far it is."""

from collections.abc import Callable


def at_most_each_second(
    tell: Callable[[int], None], now: Callable[[], float]
) -> Callable[[int], None]:
    """Return what passes on the first of many calls in a second: each becomes a commit.

    Args:
        tell: gets the bytes that have moved.
        now: seconds that only go forward.
    """
    told_at: float | None = None

    def maybe(moved: int) -> None:
        nonlocal told_at
        time = now()
        if told_at is None or time >= told_at + 1.0:
            told_at = time
            tell(moved)

    return maybe
