"""Private files: what an operator's command makes for one person, until that person has it.

Each is in a directory of its own, which only we can enter, among those of this worker. The activity
of its flow removes the directory, in whatever way the flow ends, and whenever the process dies:
`holdfast.flows.activities.Activity.clear`. What is left nevertheless, such as on a machine that
runs none of these flows any more, the next worker there removes when it begins.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from holdfast.flows.activities import Session, activity
from holdfast.flows.shipped.command import (
    KEY_VARIABLE,
    LONGEST_TIMEOUT,
    NAME_VARIABLE,
    TIMEOUT,
    run,
)
from holdfast.flows.shipped.sharing import HERE
from holdfast.flows.tasks import Call, TaskFailed, task

FILE_VARIABLE: Final = "HOLDFAST_FILE"
"""The environment variable that holds the path of the file to write."""

FILE_WORD: Final = "{file}"
"""What stands for it in an argument of the command."""

MOST_OVER: Final = 10_000
"""Places that are remembered as cleared, so that a late try of a task makes nothing there."""

OVER: Final = "its flow is over"

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_log = Logger()
_over: dict[str, None] = {}


# The command's own timeout is what counts: it comes first.
@task("mint-file", timeout=LONGEST_TIMEOUT + 60.0)
def mint_file(call: Call) -> Deferred[str]:
    """Run the command, which writes the file, and return the file's path once it is durable.

    The file is there when the command begins, empty, and may be replaced by it. Each try has a file
    of its own: what an earlier try left running may still write into its own.
    """
    arguments = call.arguments
    path = _made(arguments["place"], arguments["file"])
    words = [word.replace(FILE_WORD, str(path)) for word in arguments["command"]]
    variables = {
        KEY_VARIABLE: call.key,
        NAME_VARIABLE: arguments["name"],
        FILE_VARIABLE: str(path),
    }
    seconds = float(arguments.get("timeout", TIMEOUT))
    written: Deferred[Any] = run(call.reactor, words, variables, seconds, heard=False)
    pool = call.reactor.getThreadPool()
    return written.addCallback(lambda _: deferToThreadPool(call.reactor, pool, _durable, path))


def _made(place: str, name: str) -> Path:
    """Return the path of a new and empty file for one try.

    Raises:
        TaskFailed: it cannot be made.
    """
    if HERE.private is None:
        raise TaskFailed("this worker has no directory for private files")
    if place in _over:
        raise TaskFailed(OVER, final=True)
    whole = HERE.private / place
    try:
        HERE.private.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (whole.parent, whole):
            directory.mkdir(mode=0o700, exist_ok=True)
        for earlier in whole.iterdir():
            shutil.rmtree(earlier)
        directory = whole / os.urandom(4).hex()
        directory.mkdir(mode=0o700)
        path = directory / name
        os.close(os.open(path, _NEW, 0o600))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise TaskFailed(f"no private file: {why or type(error).__name__}") from None
    if place in _over:  # since the look above
        remove(place)
        raise TaskFailed(OVER, final=True)
    return path


def _durable(path: Path) -> str:
    """In a thread: see that the file is there, and make it durable. Raises TaskFailed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise TaskFailed("the command has put something else in the place of the file")
            if not found.st_size:
                raise TaskFailed("the command wrote nothing into the file")
            os.fchmod(descriptor, 0o600)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise TaskFailed(f"the command's file cannot be read: {why}") from None
    return str(path)


def remove(place: str) -> None:
    """Remove what is in a place, and let nothing be made there any more in this process.

    Raises:
        OSError: something could not be removed.
    """
    _over[place] = None
    while len(_over) > MOST_OVER:
        del _over[next(iter(_over))]
    if HERE.private is None:
        return
    whole = HERE.private / place
    try:
        shutil.rmtree(whole)
        whole.parent.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        if whole.exists():
            raise


def left(private: Path) -> list[str]:
    """Return the first parts of the places in which something is."""
    try:
        return [each.name for each in private.iterdir()]
    except OSError:
        return []


@define(eq=False)
class Keeping:
    """The activity of a flow whose file is being made: there is nothing to do but to clear up."""

    session: Session

    def wants(self, details: str) -> None:
        """The file is being made in this place."""

    def stop(self) -> None:
        """It stays."""

    def clear(self, details: str, *, failed: bool) -> None:
        """Remove it."""
        done = self.session.in_thread(remove, details)
        done.addErrback(
            lambda failure: _log.failure("a private file could not be removed", failure)
        )


activity("private-file")(Keeping)
