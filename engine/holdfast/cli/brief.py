"""Moments and numbers of flows in few words, and texts in few columns.

It stands apart from the tables, because most commands that run flows draw none, and what draws them
takes 4 MB.
"""

import time
from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size

from holdfast.operating.printable import printable
from holdfast.operating.standing import shown_word


def narrowed(text: str, width: int) -> str:
    """Return the beginning of a text that takes at most `width` columns of a terminal."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 0))


def moment(at: float, now: float | None = None) -> str:
    """Say when something was, in local time and few columns: the nearer, the finer.

    The offset from UTC is shown where it differs from the one at `now`, as before a change to or
    from summer time: otherwise one hour would appear twice. `at` and `now` are seconds since the
    epoch.
    """
    then = time.localtime(at)
    today = time.localtime(now)
    return _moment(then, today) + (
        time.strftime(" %z", then) if then.tm_gmtoff != today.tm_gmtoff else ""
    )


def _moment(then: time.struct_time, today: time.struct_time) -> str:
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    if then.tm_year == today.tm_year:
        return time.strftime("%d %b %H:%M", then)
    return time.strftime("%d %b %Y", then)


def timestamp(at: float) -> str:
    """Return local time to the second, with its offset, `2026-11-23 06:15:03+0100`."""
    return time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(at))


def iso(at: float | None) -> str | None:
    """Return UTC for programs, `2026-11-23T06:15:03.042Z`; None stays None."""
    if at is None:
        return None
    milliseconds = round(at * 1000)
    written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{written}.{milliseconds % 1000:03}Z"


def in_words(counts: Mapping[str, int]) -> str:
    """Say how many flows have each status, the most first: `17 done, 3 waiting`."""
    return ", ".join(
        f"{-number} {printable(word)}"
        for number, word in sorted((-number, shown_word(each)) for each, number in counts.items())
    )


def counted(counts: Mapping[str, int]) -> str:
    """Say how many flows have each status: `20 flows: 17 done, 3 waiting`."""
    total = sum(counts.values())
    return f"{'1 flow' if total == 1 else f'{total} flows'}: {in_words(counts)}"
