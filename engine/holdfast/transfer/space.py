"""How much room a disk has."""

import os
from pathlib import Path

from holdfast.transfer.errors import OutOfSpace, landing_words
from holdfast.transfer.names import shown


def check_space(directory: Path, needed: int) -> None:
    """Find out whether a directory's disk has room for `needed` bytes.

    A folder needs room for its archive and for its files. A disk that says that it has no blocks at
    all, as ramfs does, does not know how much room there is.

    Raises:
        OutOfSpace: it has not.
        LandingError: there is no such directory.
    """
    with landing_words(directory):
        found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and free < needed:
        raise OutOfSpace(
            f"There is not enough room in {shown(str(directory))}: {in_units(needed)} are needed,"
            f" and {in_units(free)} are free. Make room, or choose another directory."
        )


def in_units(count: int) -> str:
    """Return a number of bytes as people say it, such as `1.4 GB`."""
    if count < 1000:
        return f"{count} bytes"
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"
