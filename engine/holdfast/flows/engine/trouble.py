"""What operators are told of an exception in a flow's own code: its type and its place.

Never its words, nor the values of variables: they may quote a secret.
"""

from __future__ import annotations

import traceback
from typing import Final

from twisted.python.failure import Failure

MOST_LINES: Final = 40


def place_of(failure: Failure) -> str:
    """Return the type of the exception and the innermost place, in one line."""
    return _lines(failure.value)[0]


def traceback_of(failure: Failure) -> str:
    """Return `place_of` and, on lines of their own, its callers and the exceptions behind it."""
    lines: list[str] = []
    seen: list[BaseException] = []
    error: BaseException | None = failure.value
    while error is not None and error not in seen:
        seen.append(error)
        first, *callers = _lines(error)
        lines += [f"because of {first}" if lines else first, *callers]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(lines[:MOST_LINES])


def _lines(error: BaseException | None) -> list[str]:
    kind = "an error" if error is None else type(error).__name__
    walk = traceback.walk_tb(None if error is None else error.__traceback__)
    frames = traceback.StackSummary.extract(walk, lookup_lines=False)
    places = [
        f"{frame.name}, line {frame.lineno} of {frame.filename.rpartition('/')[2]}"
        for frame in reversed(frames)
    ]
    if not places:
        return [kind]
    return [f"{kind} in {places[0]}", *(f"  called in {place}" for place in places[1:])]
