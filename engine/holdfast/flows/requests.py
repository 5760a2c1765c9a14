"""What operators ask of flows that run, as it is written in the database."""

from __future__ import annotations

import math
from typing import Final

_PUT_OFF: Final = "expire at "


def put_off(deadline: float) -> str:
    """Return the request to expire at another time, in seconds since the epoch."""
    return f"{_PUT_OFF}{deadline!r}"


def other_deadline(request: str) -> float | None:
    """Return the time of a request that `put_off` made; None for anything else."""
    if not request.startswith(_PUT_OFF):
        return None
    try:
        deadline = float(request.removeprefix(_PUT_OFF))
    except ValueError:  # a row may hold anything
        return None
    return deadline if math.isfinite(deadline) else None
