"""The standard streams, made safe before anything else is opened.

A file that is opened while a standard stream is missing gets that stream's number, and what is
printed goes into it: it may be the database. A character that the terminal's encoding lacks would
raise an exception where it is printed.
"""

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_FLAGS = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_WRONLY}


class Stream(io.FileIO):
    """Standard output or standard error, which raises at most once.

    Args:
        number: 1 or 2.

    Attributes:
        error: why it could not be written. From then on, output is dropped, so that nothing fails
            again while the command ends.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: "Buffer", /) -> int:
        """Write, and wait if another process that shares the stream has made it non-blocking.

        Raises OSError the first time; for standard error never, because it could not be shown.
        """
        if self.error is not None:
            return memoryview(data).nbytes
        try:
            return write_some(self.fileno(), data)
        except OSError as error:
            self.error = error
            if self.fileno() == 1:
                raise
            return memoryview(data).nbytes


def write_some(descriptor: int, data: "Buffer") -> int:
    """Write as `os.write` does, and wait where that would block. Raises OSError."""
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()


def make_safe() -> None:
    """Open /dev/null in place of missing streams, and escape what cannot be encoded.

    Call it before anything is opened.
    """
    for number, flags in _FLAGS.items():
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # The lowest number that is free is this one.
            os.set_inheritable(os.open(os.devnull, flags), True)  # noqa: FBT003 - os has no other way
    sys.stdout = _text(1, sys.stdout)
    sys.stderr = _text(2, sys.stderr)


def _text(number: int, before: TextIO | None) -> TextIO:
    if before is not None:
        before.flush()
    stream = Stream(number)
    return io.TextIOWrapper(
        io.BufferedWriter(cast(Any, stream)),
        encoding="utf-8" if before is None else before.encoding,
        errors="backslashreplace",
        line_buffering=number == 2 or stream.isatty(),
        write_through=number == 2,
    )


def refused() -> OSError | None:
    """Return why standard output could not be written, or None."""
    binary = getattr(sys.stdout, "buffer", None)
    raw = getattr(binary, "raw", None)
    return raw.error if isinstance(raw, Stream) else None
