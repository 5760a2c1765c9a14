"""What Twisted's log may show: our warnings and errors, but never the words of an exception.

A traceback or a message may quote what a client sent, or a secret. So only the type and the place
of an error are shown.
"""

from typing import cast

from holdfast.cli import say


def log_what_goes_wrong() -> None:
    """Write warnings and errors to standard error, one line each, and nothing else."""
    from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner

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
            say.err(f"holdfast: error: {failure.type.__name__} in {place}")
        elif event["log_namespace"].startswith("holdfast") and event["log_level"] >= LogLevel.warn:
            level = event["log_level"].name
            say.err(f"holdfast: {level}: {formatEvent(event)}")

    globalLogBeginner.beginLoggingTo([cast(ILogObserver, observe)], redirectStandardIO=False)
