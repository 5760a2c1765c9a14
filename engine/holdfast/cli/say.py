"""Output of commands that run flows, which must not disturb the flows.

The disk of a log may be full, the reader of a pipe gone, a terminal closed or stopped. So code that
prints hands the text over and continues. One thread per stream writes it, in order, and tries again
until it succeeds. What waits is bounded; what is dropped is counted, and the operator is told.
"""

import contextlib
import errno
import io
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import click
from attrs import define, field, frozen

from holdfast.cli.streams import write_some

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

LIMIT = 4 * 1024 * 1024
"""How many bytes may wait for one stream."""

PAUSE = 1.0
"""Seconds between two tries."""

PATIENCE = 5.0
"""Seconds for which a command that ends waits for a stream on which nothing moves."""

WHERE_CODES_ARE = "'holdfast status' shows the codes that are good"

Done = Callable[[OSError | None], object]


@frozen
class _Piece:
    data: bytes
    done: Done | None = None


@define(eq=False)
class Outlet:
    """One stream, and the thread that writes it.

    Args:
        name: what users call it.
        write: writes some bytes and returns how many; raises OSError.
        warn: called with a line, for another stream, when writing begins to fail.
        tell: called with a line when writing works again and something is missing.
    """

    name: str
    write: Callable[[bytes], int]
    warn: Callable[[str], None]
    tell: Callable[[str], None]
    _waiting: deque[_Piece] = field(factory=deque, init=False)
    _size: int = field(default=0, init=False)
    _dropped: int = field(default=0, init=False)
    _refusals: int = field(default=0, init=False)  # in a row
    _error: OSError | None = field(default=None, init=False)
    _turn: threading.Condition = field(factory=threading.Condition, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def put(self, data: bytes, done: Done | None = None) -> None:
        """Hand over some bytes; return at once.

        With `done` they are tried only once, and `done` is called with the error, or None, in
        another thread.
        """
        with self._turn:
            if self._size + len(data) > LIMIT and done is None:
                self._dropped += 1
                return
            self._waiting.append(_Piece(data, done))
            self._size += len(data)
            self._turn.notify_all()
            if self._thread is None:
                # A daemon thread, because it may be in a write that never returns.
                thread = threading.Thread(target=self._work, name=self.name, daemon=True)
                # If a thread cannot be started now, the next line tries again.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    @property
    def behind(self) -> bool:
        """Whether something waits here."""
        return bool(self._waiting)

    def drain(self, patience: float) -> int:
        """Wait until all is written, or refused twice, or nothing moves for `patience` seconds.

        Return how many pieces were not written.
        """
        with self._turn:
            self._refusals = 0
            while self._waiting and self._refusals < 2:
                self._turn.notify_all()
                if not self._turn.wait(patience):
                    break
            return len(self._waiting) + self._dropped

    @property
    def why(self) -> str:
        """Why the stream cannot be written."""
        error = self._error
        return "it was not read" if error is None else (error.strerror or type(error).__name__)

    def _work(self) -> None:
        # A terminal may stop processes in the background that write to it (`stty tostop`), with
        # all their flows; but not if the writing thread blocks the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        while True:
            with self._turn:
                while not self._waiting:
                    self._turn.wait()
                piece = self._waiting[0]
            try:
                written = self.write(piece.data)
            except OSError as error:
                self._refused(piece, error)
            else:
                self._wrote(piece, written)

    def _refused(self, piece: _Piece, error: OSError) -> None:
        first = self._error is None and piece.done is None
        with self._turn:
            self._error = error
            self._refusals += 1
            if piece.done is not None:
                self._remove(piece)
        if first:
            self.warn(
                f"holdfast: {self.name} cannot be written: {self.why}; the work continues, and"
                f" {WHERE_CODES_ARE}"
            )
        if piece.done is not None:
            piece.done(error)
        with self._turn:
            self._turn.notify_all()
            if piece.done is None:
                self._turn.wait(PAUSE)

    def _wrote(self, piece: _Piece, written: int) -> None:
        whole = written == len(piece.data)
        with self._turn:
            self._remove(piece)
            if not whole:
                rest = _Piece(piece.data[written:], piece.done)
                self._waiting.appendleft(rest)
                self._size += len(rest.data)
            why, self._error, self._refusals = self.why, None, 0
            missing = 0
            if not self._waiting:
                missing, self._dropped = self._dropped, 0
            self._turn.notify_all()
        if missing:
            self.tell(
                f"holdfast: {missing} lines are missing on {self.name}: {why} for a while;"
                f" {WHERE_CODES_ARE}"
            )
        if whole and piece.done is not None:
            piece.done(None)

    def _remove(self, piece: _Piece) -> None:
        self._waiting.popleft()
        self._size -= len(piece.data)


@define(eq=False)
class _Outlets:
    """Standard output and standard error, each by the number of its descriptor."""

    by_number: dict[int, Outlet] = field(factory=dict)

    def of(self, stream: TextIO, name: str) -> Outlet | None:
        """Return the outlet of a stream, or None if no descriptor is behind it."""
        try:
            number = stream.fileno()
        except (AttributeError, OSError, ValueError):
            return None
        if number not in self.by_number:
            self.by_number[number] = self._same_file(number) or _outlet(number, name)
        return self.by_number[number]

    def _same_file(self, number: int) -> Outlet | None:
        # If both streams are one terminal, their output must keep its order.
        for other, outlet in self.by_number.items():
            if os.path.samestat(os.fstat(other), os.fstat(number)):
                return outlet
        return None


_outlets = _Outlets()


def _outlet(number: int, name: str) -> Outlet:
    def write(data: bytes) -> int:
        return write_some(number, data)

    def warn(text: str) -> None:
        if _outlets.of(sys.stderr, "standard error") is not outlet:
            err(text)

    outlet = Outlet(name, write, warn, err)
    return outlet


def out(text: str) -> None:
    """Print a line on standard output."""
    _line(sys.stdout, "standard output", text + "\n")


def err(text: str, *, end: str = "\n") -> None:
    """Print a line on standard error."""
    _line(sys.stderr, "standard error", text + end)


def tell(text: str) -> None:
    """Tell the operator something on standard error, in one line."""
    err(f"holdfast: {text}")


class _Handed(io.RawIOBase):
    """The file behind `sys.stdout` while flows run, for code that prints there itself."""

    def __init__(self, outlet: Outlet, number: int) -> None:
        super().__init__()
        self._outlet = outlet
        self._number = number

    def writable(self) -> bool:
        """Whether it can be written: yes."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the stream itself."""
        return self._number

    def isatty(self) -> bool:
        """Whether the stream itself is a terminal."""
        return os.isatty(self._number)

    def write(self, data: "Buffer", /) -> int:
        """Hand the bytes over."""
        copy = bytes(data)
        self._outlet.put(copy)
        return len(copy)


def take_over() -> None:
    """Send everything that is printed this way: by users' flows, warnings, tracebacks."""
    sys.stdout = _handed(sys.stdout, "standard output")
    sys.stderr = _handed(sys.stderr, "standard error")


def _handed(stream: TextIO, name: str) -> TextIO:
    outlet = _outlets.of(stream, name)
    if outlet is None:
        return stream
    stream.flush()
    raw = _Handed(outlet, stream.fileno())
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def error_is_behind() -> bool:
    """Whether standard error still has something to print."""
    outlet = _outlets.of(sys.stderr, "standard error")
    return outlet is not None and outlet.behind


def deliver(data: bytes, done: Done) -> None:
    """Write `data` to standard output, once; another thread calls `done` with the outcome."""
    outlet = _outlets.of(sys.stdout, "standard output")
    if outlet is None:
        done(OSError(errno.EBADF, os.strerror(errno.EBADF)))
    else:
        outlet.put(data, done)


def _line(stream: TextIO, name: str, text: str) -> None:
    outlet = _outlets.of(stream, name)
    if outlet is None:  # in a test
        click.echo(text, file=stream, nl=False)
        return
    encoding = stream.encoding or "utf-8"
    outlet.put(text.encode(encoding, "backslashreplace"))


def finish() -> None:
    """Wait, for a while, until everything is printed; say what is not. Never raises."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # which was reported already
            stream.flush()
    # Ctrl-C ends the waiting.
    with contextlib.suppress(KeyboardInterrupt):
        first, second = (
            None if stream is None else _outlets.of(stream, name)
            for stream, name in ((sys.stdout, "standard output"), (sys.stderr, "standard error"))
        )
        if first is not None and first is not second:
            missing = first.drain(PATIENCE)
            if missing:
                err(
                    f"holdfast: {missing} lines could not be printed on {first.name}: {first.why};"
                    f" {WHERE_CODES_ARE}"
                )
        if second is not None:
            second.drain(PATIENCE)


def terminal_columns(stream: TextIO) -> int:
    """Return the width of the terminal behind `stream`, or 80 if that is unknown."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return 80
