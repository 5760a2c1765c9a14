"""What operators ask of flows that run, as it is written in the database."""

from __future__ import annotations

import math
from typing import Final

END_OF_TIME: Final = 253_402_300_800.0
"""The year 10000, which no calendar can show."""

_PUT_OFF: Final = "expire at "

_NEVER: Final = "never expire"


def put_off(deadline: float) -> str:
    """Return the request to expire at another time, in seconds since the epoch; infinity: never."""
    return _NEVER if deadline == math.inf else f"{_PUT_OFF}{deadline!r}"


def other_deadline(request: str) -> float | None:
    """Return the time of a request that `put_off` made, or infinity; None for anything else."""
    if request == _NEVER:
        return math.inf
    if not request.startswith(_PUT_OFF):
        return None
    try:
        deadline = float(request.removeprefix(_PUT_OFF))
    except ValueError:  # a row may hold anything
        return None
    return deadline if 0 <= deadline < END_OF_TIME else None
