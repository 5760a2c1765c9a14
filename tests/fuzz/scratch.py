"""A folder for files that an input becomes, in memory where that is possible."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tests.journal.postgres import memory


@cache
def folder() -> Path:
    """The folder of this process, gone when it ends."""
    made = Path(tempfile.mkdtemp(prefix="holdfast-fuzz-", dir=memory()))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(name: str, data: bytes) -> Path:
    """A file of that name with *data* in it."""
    path = folder() / name
    path.write_bytes(data)
    return path
