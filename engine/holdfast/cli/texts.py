"""The text that `holdfast send` hands over: from an option, a file, a keyboard or a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.operating.refused import because
from holdfast.transfer import LONGEST_TEXT

STANDARD_INPUT: Final = "standard input"

_ENOUGH: Final = LONGEST_TEXT + len("\r\n") + 1
"""Bytes after which it is certain that a text is too long, even without its line end."""


def text_from(text: str | None, path: str | None) -> str:
    """Return the text to send.

    Args:
        text: itself, or `-` for standard input without its final line end.
        path: of a file that is taken byte for byte; `-` is standard input, likewise. Without
            either, the text is typed or piped on standard input.

    Raises:
        Failure: there is no text, or it cannot be sent.
    """
    from holdfast.transfer.text import without_line_end

    if text is not None and path is not None:
        raise Failure("give --text or --text-file, not both")
    if text is None or text == "-":
        standard = path in (None, "-")
        where = STANDARD_INPUT if standard else str(path)
        try:
            data = _typed() if standard else _read(Path(str(path)))
        except OSError as error:
            raise because(where, error) from None
        except ValueError:  # a NUL in the path
            raise Failure(f"{where}: this cannot be the name of a file") from None
        text = _decoded(data, where)
        if path is None:
            text = without_line_end(text)
    _check(text)
    return text


def _check(text: str) -> None:
    from holdfast.transfer.text import LONGEST_ENCODED, encoded_size

    if not text:
        raise Failure("there is no text to send")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Failure("the text is not UTF-8") from None
    if size > LONGEST_TEXT:
        raise Failure(
            f"the text is longer than {LONGEST_TEXT} bytes, more than some recipients' clients"
            " take; 'holdfast send FILE' sends a file of any size"
        )
    if (encoded := encoded_size(text)) > LONGEST_ENCODED:
        raise Failure(
            f"the text takes {encoded:,} bytes in a message (line ends and the like count more"
            f" than once); the limit is {LONGEST_ENCODED:,}, because some recipients' clients drop"
            " larger messages; 'holdfast send FILE' sends a file of any size"
        )


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if len(data) > LONGEST_TEXT and error.start >= LONGEST_TEXT - 3:
            # Cut inside a character; it is too long in any case.
            return data[: error.start].decode() + "…"
        problem = (
            f"{where}: not UTF-8 at byte {error.start + 1}, and a text holds nothing else: send it"
            " as a file, with 'holdfast send FILE', or 'holdfast send -' for standard input"
        )
    # Raised outside the handler: the decoder's own error holds the text.
    raise Failure(problem)


def _typed() -> bytes:
    if sys.stdin is None:
        raise Failure("there is no text to send: standard input is closed")
    if sys.stdin.isatty():
        say.err("Type the text; Ctrl-D on a line of its own ends it.")
    return sys.stdin.buffer.read(_ENOUGH)


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_ENOUGH)
