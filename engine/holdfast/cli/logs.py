"""What Twisted's log may show: our warnings and errors, but never the words of an exception.

A traceback or a message may quote what a client sent, or a secret. So only the type and the place
of an error are shown.
"""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Final, cast

from holdfast.cli import say

if TYPE_CHECKING:
    from twisted.logger import LogEvent

    from holdfast.cli.channel import Level

_LEVELS: Final[dict[str, Level]] = {"warn": "warning", "error": "error", "critical": "critical"}
"""Levels by Twisted's names for them; the others are `info`."""


def log_what_goes_wrong() -> None:
    """Write warnings and errors to standard error, one line each, and nothing else.

    Forms for programs get what is worth an `info` too.
    """
    from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner

    def observe(event: LogEvent) -> None:
        # Events of Twisted's old log have their failure under another name.
        failure = event.get("log_failure")
        if failure is None and event.get("isError"):
            failure = event.get("failure")
        if failure is not None:
            place = "an unknown place"
            if failure.frames:
                function, file, line = failure.frames[-1][:3]
                place = f"{function}, line {line} of {file.rpartition('/')[2]}"
            kind = failure.type.__name__
            message = f"{kind} in {place}"
            shown = f"holdfast: error: {message}"
            keys = {"error": kind, "place": place}
            say.log("error", message, level="error", shown=shown, keys=keys)
        elif event["log_namespace"].startswith("holdfast"):
            least = LogLevel.warn if say.is_text() else LogLevel.info
            if event["log_level"] >= least:
                name, message = event["log_level"].name, formatEvent(event)
                shown = f"holdfast: {name}: {message}"
                level = _LEVELS.get(name, "info")
                say.log("log", message, level=level, shown=shown, keys=_facts(event))

    globalLogBeginner.beginLoggingTo([cast(ILogObserver, observe)], redirectStandardIO=False)


def _facts(event: LogEvent) -> dict[str, object]:
    """Return what the message was made of: nothing else of an event may be shown."""
    names = [name for _, name, *_ in Formatter().parse(event.get("log_format") or "") if name]
    return {"logger": event["log_namespace"]} | {n: event[n] for n in names if n in event}
