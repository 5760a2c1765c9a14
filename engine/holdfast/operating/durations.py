"""How long, as a person writes it: `90s`, `8h`, `1h30m`, `30d`."""

import re

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


# Largest unit first, each at most once, so that 30m1h (a typing error?) is not accepted.
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in _SECONDS))


# A hundred years: beyond any use, and well within what clocks and databases can add to now.
_LONGEST = 100 * 366 * _SECONDS["d"]


def parse_duration(text: str) -> float:
    """Return the seconds that `text` means.

    Whole numbers, each with its unit: w, d, h, m, s. Raises ValueError, with a text for the
    person who wrote it, for anything else, for an empty text, for zero, and beyond a hundred years.
    """
    compact = text.strip().lower()
    text = compact if len(compact) <= 40 else compact[:40] + "…"
    match = _DURATION.fullmatch(compact)
    if not compact or match is None:
        hint = "give it a unit" if compact.isdigit() else "write it like 90s, 8h, 1h30m or 30d"
        raise ValueError(f"{text!r} is not a duration: {hint}")
    seconds = sum(int(count) * _SECONDS[unit] for unit, count in match.groupdict("0").items())
    if not 0 < seconds <= _LONGEST:
        raise ValueError(
            f"{text!r} is out of range: a duration is more than 0s and at most a hundred years"
        )
    return float(seconds)


def in_words(seconds: float) -> str:
    """Return how long something took, in at most two units: `0.2s`, `15s`, `4m 12s`, `3d 4h`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    left = round(seconds)
    words: list[str] = []
    for unit, size in _SECONDS.items():
        count, left = divmod(left, size)
        if count or words:
            words.append(f"{count}{unit}" if count else "")
        if len(words) == 2:
            break
    return " ".join(each for each in words if each)
