"""What can go wrong with the files of a transfer, in words for people."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import WormholeError
from holdfast.transfer.names import shown


class SourceError(WormholeError):
    """What is to be sent cannot be sent."""

    advice = "This cannot be sent."


class SourceChanged(SourceError):
    """What is being sent is not what was measured and offered."""

    advice = "What is being sent has changed meanwhile. Send it again."


class LandingError(WormholeError):
    """What arrives cannot be written. What was received already is kept."""

    advice = "What arrives cannot be written."


class LandingInUse(LandingError):
    """Another process has not let go of what arrives; it may still put it where it belongs."""

    advice = "Another process is receiving this already."


class TargetExists(LandingError):
    """Something has the name already under which the received thing is to appear."""

    advice = "There is something of this name already. Choose another name."


class OutOfSpace(LandingError):
    """The disk is full, or will be."""

    advice = "The disk is full. Make room and try again."


class BadArchive(WormholeError):
    """The other side sent a folder as an archive that is damaged, or that we do not unpack."""

    advice = "The folder arrived as an archive that cannot be unpacked."


class Stopped(WormholeError):
    """The work was stopped before its end, as was asked."""

    advice = "Stopped."


def in_words(error: OSError, path: Path) -> str:
    """Return what an error that came of writing at `path` means, and what to do about it."""
    where = shown(os.fspath(path))
    match error.errno:
        case errno.ENOSPC:
            return f"The disk is full, so {where} cannot be written. Make room and try again."
        case errno.EDQUOT:
            return f"Your quota is used up, so {where} cannot be written. Make room and try again."
        case errno.EROFS:
            return f"{where} is on a disk that cannot be written. Choose another directory."
        case errno.EACCES | errno.EPERM:
            return f"You are not allowed to write {where}. Choose another directory."
        case errno.ENOENT | errno.ENOTDIR:
            return f"The directory for {where} does not exist. Make it, or choose another."
        case errno.EIO:
            return f"The disk failed while {where} was used. Choose a directory on another disk."
        case errno.ENAMETOOLONG:
            return f"The name {where} is too long for this disk. Choose a shorter one."
        case _:
            return f"{where} cannot be written: {error.strerror or type(error).__name__}."


@contextlib.contextmanager
def landing_words(path: Path) -> Iterator[None]:
    """Turn an OSError inside into a `LandingError` about `path`, with words."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (OutOfSpace if full else LandingError)(in_words(error, path)) from error
