"""What `holdfast send` sends: how the journal knows it again, and which flow sends it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from attrs import field, frozen

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.cli.status_line import StatusLine
from holdfast.cli.texts import STANDARD_INPUT, text_from
from holdfast.operating.printable import printable, quoted

if TYPE_CHECKING:
    from holdfast.flows import Flow
    from holdfast.flows.shipped.transferring import Ways
    from holdfast.operating.coding import AskedCode
    from holdfast.operating.spooling import Spooled

SHOWN_EVERY: Final = 0.25
"""Seconds between two figures on the screen, at least."""

NAME_OF_INPUT: Final = "stdin"
"""What standard input is called if the sender has no name for it."""


@frozen
class Parcel:
    """What is sent.

    Args:
        marks: what makes it the same as in another command.
        called: the words for it on the screen.
        flow: makes the flow, from the fingerprint under which the journal knows the command.
        is_text: whether it is a text, of which there is nothing to see while it moves.
        begun: called with the fingerprint as soon as the flow is in the journal.
    """

    marks: tuple[str, ...] = field(repr=False)
    called: str
    flow: Callable[[str], Flow] = field(repr=False)
    is_text: bool = False
    begun: Callable[[str], object] = field(default=lambda _: None, repr=False)


@frozen
class AskedFlow:
    """What was asked for, whatever is sent.

    Args:
        code: what code it gets.
        verify: whether the user is asked before it is handed over.
    """

    code: AskedCode
    verify: bool = False


def text_parcel(text: str | None, text_file: str | None, asked: AskedFlow) -> Parcel:
    """Return what `text_from` makes of these. Raises Failure."""
    from holdfast.flows.shipped.provision import SendText
    from holdfast.flows.shipped.verifying import SendTextVerified

    secret = text_from(text, text_file)

    def flow(_: str) -> Flow:
        kind = SendTextVerified if asked.verify else SendText
        return kind(secret=secret, coding=asked.code.flow_value())

    return Parcel(("send", secret), "this text", flow, is_text=True)


@contextlib.contextmanager
def file_parcel(
    paths: Sequence[str], name: str | None, ways: Ways, asked: AskedFlow, spool: Path
) -> Iterator[Parcel]:
    """Look whether the files and folders are there; or spool standard input.

    Args:
        paths: of files and folders, or `-` alone.
        name: what it is to be called at the other end; None is its own name.
        ways: how the recipient reaches us.
        asked: what else was asked for.
        spool: the directory for standard input.

    Raises:
        Failure: something is not there.
        Refused: standard input cannot be kept.
    """
    if "-" not in paths:
        yield _of_paths(_absolute(paths), name, ways, asked)
        return
    if len(paths) > 1:
        raise Failure("- is standard input, and is sent alone; ./- is a file of that name")
    with _standard_input(spool) as it:
        yield _of_input(it, name or NAME_OF_INPUT, ways, asked, spool)


def _of_paths(paths: list[str], name: str | None, ways: Ways, asked: AskedFlow) -> Parcel:
    called = quoted(Path(paths[0]).name or paths[0])
    if len(paths) > 1:
        called += f" and {len(paths) - 1} more"
    marks = ("send-file", json.dumps(paths), name or "")

    def flow(_: str) -> Flow:
        return _file_flow(paths, name, ways, asked)

    return Parcel(marks, called, flow)


def _file_flow(paths: list[str], name: str | None, ways: Ways, asked: AskedFlow) -> Flow:
    from holdfast.flows.shipped.send_file import SendFile
    from holdfast.flows.shipped.verifying import SendFileVerified

    kind = SendFileVerified if asked.verify else SendFile
    return kind(paths=paths, name=name, ways=ways, coding=asked.code.flow_value())


def _of_input(it: Spooled, name: str, ways: Ways, asked: AskedFlow, spool: Path) -> Parcel:
    def flow(fingerprint: str) -> Flow:
        paths = [str(spool / fingerprint)]
        return _file_flow(paths, name, ways, asked)

    # Known by its content: another stream is another exchange.
    marks = ("send-stdin", it.sha256, name)
    return Parcel(marks, STANDARD_INPUT, flow, begun=it.keep)


def _absolute(paths: Sequence[str]) -> list[str]:
    """Return absolute paths of what is there. Raises Failure."""
    for path in paths:
        if "\0" in path or not os.path.lexists(path):
            words = printable(shlex.quote(" ".join(paths)), 200)
            raise Failure(f"there is no file {quoted(path)}; to send these words: --text {words}")
    # Links are not followed: what is sent has the name under which it was given.
    return [os.path.abspath(path) for path in paths]  # noqa: PTH100


@contextlib.contextmanager
def _standard_input(spool: Path) -> Iterator[Spooled]:
    from holdfast.operating.spooling import spooled

    if sys.stdin is None:
        raise Failure(f"{STANDARD_INPUT}: it is closed")
    if sys.stdin.isatty():
        say.err("Type what is to be sent; Ctrl-D on a line of its own ends it.")
    shown = _Reading()
    stream = cast(BufferedIOBase, sys.stdin.buffer)
    with spooled(stream, spool, shown.moved) as it:
        shown.status.clear()
        yield it


class _Reading:
    """Shows how much of standard input is here."""

    def __init__(self) -> None:
        self.status = StatusLine()
        self._shown_at = 0.0

    def moved(self, size: int) -> None:
        """So many bytes are here."""
        from holdfast.transfer.landing import in_units

        now = time.monotonic()
        if self.status.terminal and now - self._shown_at >= SHOWN_EVERY:
            self._shown_at = now
            self.status.show(f"reading {STANDARD_INPUT}: {in_units(size)}")
