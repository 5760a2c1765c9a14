"""How often a transfer tells its flow how far it is."""

from collections.abc import Callable


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
