"""The file of the master keys: reading it, making it, and putting a new key in front.

One key per line; `#` starts a comment. Every change replaces the whole file, so that a reader never
sees half of it.
"""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define

from holdfast_journal.errors import WrongKey
from holdfast_journal.files import draft_beside, sync_directory
from holdfast_journal.keys.ring import KeyRing, key_id, parse_keys
from holdfast_journal.keys.sealing import new_key

WAITS_FOR = 10.0
"""Seconds to wait for another process that is changing the file."""

_LONGEST = 1_000_000
"""Characters; a longer file is not a key file."""


@define
class KeyFile:
    """A key file that may change while it is in use."""

    path: Path
    _seen: tuple[int, ...] = ()

    def ring(self) -> KeyRing:
        """The keys in the file; the ring follows later changes. Raises WrongKey."""
        return KeyRing(self.again() or (), again=self.again)

    def again(self) -> Sequence[bytes] | None:
        """Its keys, or None if the file has not changed since the last call. Raises WrongKey."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        now = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if now == self._seen:
            return None
        keys = parse_keys(_text(self.path), f"the key file {self.path}")
        self._seen = now
        return keys


def make_key_file(path: Path) -> bool:
    """Make a key file with a new key, mode 0600, whole or not at all; False if it exists.

    It is on disk before this returns: what is sealed with it must never outlive it. Raises
    WrongKey.
    """
    content = "# Holdfast's master key. Anyone who has it can read the database beside it.\n"
    content += new_key().hex() + "\n"
    try:
        with draft_beside(path, content) as draft:
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
        sync_directory(path)
    except OSError as error:
        raise WrongKey(f"the key file {path} cannot be made: {error.strerror}") from error
    return True


def add_key(path: Path) -> str:
    """Put a new key in front of those in the file; return its identifier.

    The whole file is replaced, and is on disk before this returns. It keeps its owner, group and
    mode. If two processes do this at once, both keys are added. Raises WrongKey.
    """
    path = path.resolve()
    key = new_key()
    try:
        with _alone(path):
            text = _text(path)
            parse_keys(text, f"the key file {path}")
            lines = text.split("\n")
            before = next(n for n, line in enumerate(lines) if line.partition("#")[0].strip())
            lines.insert(before, f"{key.hex()}  # {key_id(key)}")
            with draft_beside(path, "\n".join(lines)) as draft:
                found = path.stat()
                if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                    os.chown(draft, found.st_uid, found.st_gid)
                draft.chmod(stat.S_IMODE(found.st_mode))
                draft.replace(path)
            sync_directory(path)
    except OSError as error:
        raise WrongKey(f"the key file {path} cannot be changed: {error.strerror}") from error
    return key_id(key)


def key_lines(path: Path) -> Mapping[str, int]:
    """The identifiers of the keys in the file, and the line of each. Raises WrongKey."""
    found: dict[str, int] = {}
    # Not splitlines(), which takes a form feed inside a comment as the comment's end.
    for number, line in enumerate(_text(path).split("\n"), 1):
        for word in re.sub(r"#.*", "", line).split():
            found[key_id(bytes.fromhex(word))] = number
    return found


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
            return text if len(text) <= _LONGEST else ""
    except UnicodeDecodeError:
        return ""  # which is not a key, as a file that is too long is not
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> WrongKey:
    return WrongKey(f"the key file {path} cannot be read: {error.strerror}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes waiting that do the same. The locked file may be replaced meanwhile."""
    until = time.monotonic() + WAITS_FOR
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                yield
                return
        except BlockingIOError:
            if time.monotonic() > until:
                said = f"the key file {path} cannot be changed: another program keeps it locked"
                raise WrongKey(said) from None
            time.sleep(0.01)
        finally:
            os.close(descriptor)
