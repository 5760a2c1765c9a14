"""How often a transfer tells its flow how far it is."""

from collections.abc import Callable


def at_most_each_second(
    tell: Callable[[int], None], size: int, now: Callable[[], float]
) -> Callable[[int], None]:
    """Return what passes on the first of many calls in a second, since each becomes a commit.

    That everything has moved is always passed on.

    Args:
        tell: gets the bytes that have moved.
        size: how many there are.
        now: seconds that only go forward.
    """
    told_at: float | None = None

    def maybe(moved: int) -> None:
        nonlocal told_at
        time = now()
        if told_at is None or time >= told_at + 1.0 or moved == size:
            told_at = time
            tell(moved)

    return maybe
