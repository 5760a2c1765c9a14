"""Recording when every message of a wormhole was sent and received, if you ask for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

MOST_EVENTS: Final = 100_000
"""How many events a recording holds, so that a forgotten one does not fill the memory."""

WAYS: Final = ("asked", "told", "said", "heard", "connection")
"""The application asked us; we told it; we said to the server; we heard from it; and news of the
connection itself."""


@frozen
class Moment:
    """Something that happened.

    Args:
        at: seconds since the epoch.
        way: one of WAYS.
        what: in words, never a secret.
    """

    at: float
    way: str
    what: str


@define
class DebugTiming:
    """A recorder for `create(timing=)`; `holdfast timing` draws what `write` writes.

    Args:
        clock: seconds since the epoch.
    """

    clock: Callable[[], float] = time.time
    moments: list[Moment] = field(factory=list, init=False)

    def add(self, way: str, what: str) -> None:
        """Record that something happens now; `way` is one of WAYS."""
        if len(self.moments) < MOST_EVENTS:
            self.moments.append(Moment(self.clock(), way, what))

    def to_json(self) -> dict[str, Any]:
        """Return the recording as JSON values."""
        return {
            "version": 1,
            "moments": [[each.at, each.way, each.what] for each in self.moments],
        }

    def write(self, path: str | Path) -> None:
        """Write the recording to a file. Raises OSError."""
        Path(path).write_text(json.dumps(self.to_json()))


class NotARecording(ValueError):
    """A file is not a recording of `DebugTiming`."""


def read(text: str) -> list[Moment]:
    """Return the moments of a recording.

    Raises:
        NotARecording: the text is not a recording.
    """
    try:
        record = json.loads(text)
        if record["version"] != 1:
            raise NotARecording("it was written by another release of Holdfast")
        moments = [Moment(float(at), str(way), str(what)) for at, way, what in record["moments"]]
    except NotARecording:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise NotARecording("it is not a recording of message times") from None
    if any(each.way not in WAYS for each in moments):
        raise NotARecording("it was written by another release of Holdfast")
    return moments
