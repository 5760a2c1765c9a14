"""Reading JSON that an attacker may have written: standard JSON, of a harmless depth.

Python's parser accepts more than the standard allows (NaN, numbers that overflow to infinity). It
also accepts documents nested so deeply that writing them out again, a few calls further down the
stack, is a RecursionError. What passes through here can be compared, copied and saved.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final

DEEPEST: Final = 50
"""How many objects and arrays may be nested inside each other."""


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number that is none")
    return number


def _refuse(_: str) -> Any:
    raise ValueError("a number that is none")


_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse).decode


def parse(text: str) -> Any:
    """Return the value that `text` holds.

    Raises:
        ValueError: it is not standard JSON, or is nested more than 50 deep. The text of the
            exception quotes nothing.
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    if text.count("[") + text.count("{") > DEEPEST:  # otherwise it cannot be deep
        check_depth(value, DEEPEST)
    return value


def check_depth(value: Any, deepest: int) -> None:
    """Check that at most `deepest` objects and arrays are nested inside each other.

    Raises:
        ValueError: there are more.
    """
    layer = [value]
    for _ in range(deepest + 1):
        layer = [inner for each in layer for inner in _inside(each)]
        if not layer:
            return
    raise ValueError("JSON nested too deeply")


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
