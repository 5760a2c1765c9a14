"""Which nameplate to give out: one of the shortest numbers of which few are in use.

The package gives out numbers until a size is used up. With 1,000 codes waiting, each number from 1
to 999 then belongs to somebody, and whoever mistypes a digit ends a stranger's exchange. Here at
most about one in a hundred numbers of a size is in use; then come longer ones.
"""

import json
import secrets
from typing import Final

from holdfast.server.turn import Turn
from holdfast.server.watch_frames import LONGEST_NAME

LONGEST: Final = 9
"""Digits of the longest number that is given out."""

_ARE_IN_USE: Final = (
    "SELECT 1 FROM nameplates WHERE app_id = ? AND length(name) = ? LIMIT 1 OFFSET ? - 1"
)
_IS_TAKEN: Final = "SELECT 1 FROM nameplates WHERE app_id = ? AND name = ?"


ONLY: Final = "holdfast-only"
"""In a `list`: the one nameplate that the client asks about (watching.md, "One nameplate")."""

_MARK: Final = f'"{ONLY}"'.encode()


def only_one(payload: bytes) -> str | None:
    """Return about which nameplate alone a `list` asks; None if this is none, or asks for all."""
    if _MARK not in payload:
        return None
    try:
        frame = json.loads(payload)
    except (ValueError, RecursionError):
        return None  # the package sees it next
    if not isinstance(frame, dict) or frame.get("type") != "list":
        return None
    name = frame.get(ONLY)
    is_name = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()
    return name if is_name else None


def is_taken(turn: Turn, app: str, name: str) -> bool:
    """Whether somebody has this nameplate. Raises sqlite3.Error."""
    return turn.execute(_IS_TAKEN, (app, name)).fetchone() is not None


def most_in_use(digits: int) -> int:
    """Return how many numbers of so many digits may be in use: one in a hundred, and at least one.

    The only number of its size in use cannot be hit by somebody who mistypes another.
    """
    size: int = 9 * 10 ** (digits - 1)
    return max(1, size // 100)


def free_nameplate(turn: Turn, app: str) -> str | None:
    """Return a random free nameplate of `app`, or None if too many are in use.

    Raises sqlite3.Error.
    """
    for digits in range(1, LONGEST + 1):
        full = turn.execute(_ARE_IN_USE, (app, digits, most_in_use(digits))).fetchone()
        if full is None:
            return _any_free(turn, app, digits)
    return None


def _any_free(turn: Turn, app: str, digits: int) -> str:
    """Return one of so many digits. Nearly all are free, so this ends at the first try or soon."""
    first = 10 ** (digits - 1)
    while True:
        name = str(first + secrets.randbelow(9 * first))
        if not is_taken(turn, app, name):
            return name
