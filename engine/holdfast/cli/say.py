"""Output of commands that run flows, which must not disturb the flows.

The disk of a log may be full, the reader of a pipe gone, a terminal closed or stopped. So code that
prints hands the text over and continues. One thread per stream writes it, in order, and tries again
until it succeeds. What waits is bounded; what is dropped is counted, and the operator is told.

`log` says what happens, for people and for programs; with `--log-format json` or `journal` whole
lines of `tell` and `err`, and what flows of users print, go the same way (see `channel`).
"""

import contextlib
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO

import click
from attrs import define, field

from holdfast.cli import channel
from holdfast.cli.channel import Form, Level, Record
from holdfast.cli.outlet import WHERE_CODES_ARE, Done, Outlet
from holdfast.cli.streams import write_some

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

PATIENCE = 5.0
"""Seconds for which a command that ends waits for a stream on which nothing moves."""

_PREFIX = "holdfast: "
"""Before what operators are told on standard error."""


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

_nothing: Callable[[], object] = lambda: None  # noqa: E731 - its type is what matters


@define
class _InPlace:
    """What stands in the last line of the terminal, and is not for ever."""

    clear: Callable[[], object] = _nothing


_in_place = _InPlace()


def stands_in_place(clear: Callable[[], object] = _nothing) -> None:
    """Have `clear` called before a whole line is written behind what stands there now."""
    _in_place.clear = clear


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
    """Print a line on standard error; without an end, something for a terminal alone."""
    if is_text():
        _line(sys.stderr, "standard error", text + end)
    elif text.startswith(_PREFIX):
        tell(text.removeprefix(_PREFIX))
    elif end and text:
        log("note", text)


def tell(text: str) -> None:
    """Tell the operator something on standard error, in one line."""
    log("notice", text, level="warning", shown=_PREFIX + text)


def log(
    event: str,
    message: str,
    *,
    level: Level = "info",
    shown: str | None = None,
    out: bool = False,
    keys: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Say what happens, in the form that the operator chose.

    Args:
        event: a word for programs, which stays the same.
        message: one line for people.
        level: how much it matters.
        shown: the line where no form was chosen, if it is not the message.
        out: whether that line goes to standard output.
        keys: facts for programs, never a secret.
    """
    if not is_text():
        line = channel.written(Record(time.time(), level, event, message, keys))
        _line(sys.stderr, "standard error", line + "\n")
    elif out:
        _line(sys.stdout, "standard output", (message if shown is None else shown) + "\n")
    else:
        _line(sys.stderr, "standard error", (message if shown is None else shown) + "\n")


def is_text() -> bool:
    """Whether what is said is for people, and may be shown in place on a terminal."""
    return channel.form() is Form.SHOWN


class _Handed(io.RawIOBase):
    """The file behind `sys.stdout` while flows run, for code that prints there itself."""

    def __init__(self, outlet: Outlet, number: int) -> None:
        super().__init__()
        self._outlet = outlet
        self._number = number
        self._begun = b""  # a line without its end, where lines become records

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
        if is_text():
            self._outlet.put(copy)
        else:
            *lines, self._begun = (self._begun + copy).split(b"\n")
            if len(self._begun) > channel.LONGEST:
                lines, self._begun = [*lines, self._begun], b""
            for line in filter(None, lines):
                log("printed", line.decode(errors="backslashreplace"))
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
    if stream is sys.stderr and text.endswith("\n"):
        clear, _in_place.clear = _in_place.clear, _nothing
        clear()
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
    return _terminal_size(stream)[0] or 80


def terminal_lines(stream: TextIO) -> int:
    """Return the height of the terminal behind `stream`, or 24 if that is unknown."""
    return _terminal_size(stream)[1] or 24


def _terminal_size(stream: TextIO) -> tuple[int, int]:
    try:
        return os.get_terminal_size(stream.fileno())
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return 0, 0
