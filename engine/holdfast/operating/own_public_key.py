"""Which public key of one's own is sent: the one that was named, or one in `~/.ssh`."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused, because
from holdfast.transfer.public_keys import (
    LONGEST_LINE,
    BadPublicKey,
    PublicKey,
    read_public_key,
)

SUFFIX: Final = ".pub"


@frozen
class OwnKey:
    """A public key, and the file that it is in."""

    path: Path
    key: PublicKey


def named(path: Path) -> Sequence[OwnKey]:
    """Return the key in a file, or those in a directory.

    Raises:
        Refused: it is not a public key; or the directory has none.
    """
    if path.is_dir():
        return in_directory(path)
    try:
        return [OwnKey(path, _read(path))]
    except BadPublicKey as error:
        public = Path(f"{path}{SUFFIX}")
        meant = f"; is it {_shown(public)} that you mean?" if public.is_file() else ""
        raise Refused(f"{_shown(path)}: {error}{meant}") from None


def in_directory(directory: Path) -> Sequence[OwnKey]:
    """Return the public keys of a directory, by name; other files that end so are passed over.

    Raises:
        Refused: there are none.
    """
    try:
        names = sorted(each.name for each in directory.iterdir() if each.name.endswith(SUFFIX))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise because(_shown(directory), error) from None
    found, problems = [], []
    for name in names:
        path = directory / name
        try:
            found.append(OwnKey(path, _read(path)))
        except BadPublicKey as error:
            problems.append(f"{_shown(path)}: {error}")
        except Refused as refused:
            problems.append(refused.words)
    if not found:
        raise Refused(
            "; ".join(problems[:3])
            or f"there is no public key in {_shown(directory)}; 'ssh-keygen' makes one, and"
            " --key-file names one that is elsewhere"
        )
    return found


def _read(path: Path) -> PublicKey:
    """Read no more than a public key is long. Raises BadPublicKey, Refused."""
    try:
        # Not to wait for the writer of a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadPublicKey("not a regular file")
            data = file.read(LONGEST_LINE + 2)
    except OSError as error:
        raise because(_shown(path), error) from None
    try:
        return read_public_key(data.decode())
    except UnicodeDecodeError:
        raise BadPublicKey("this is not a public SSH key") from None


def _shown(path: Path) -> str:
    return printable(str(path), 300)
