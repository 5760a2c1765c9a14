"""QR codes, as text and as SVG."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

from holdfast.operating.refused import Refused

_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def require_qr() -> ModuleType:
    """Return the package that draws. Raises `Refused` if it is not installed."""
    try:
        import segno
    except ModuleNotFoundError as error:
        if error.name != "segno":
            raise
    else:
        module: ModuleType = segno
        return module
    from holdfast_journal import install

    raise Refused(f"QR pictures need the package segno: {install('qr')}")


def qr_blocks(content: str) -> list[str]:
    """Return lines of block characters, two rows of modules in each, dark modules being blank.

    They are right where text is light on dark. Raises `Refused` if the content is too long.
    """
    drawn = io.StringIO()
    _made(content).terminal(drawn, compact=True)
    return drawn.getvalue().splitlines()


def qr_text(content: str) -> str:
    """Return lines of block characters as they are right on paper: dark on light.

    Raises `Refused` if the content is too long.
    """
    rows = [list(row) for row in _made(content).matrix_iter(border=4)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    lines = ("".join(_HALVES[one, two] for one, two in zip(*pair, strict=True)) for pair in pairs)
    return "\n".join(line.rstrip() for line in lines)


def qr_svg(content: str) -> str:
    """Return an SVG element that can stand in an HTML page, or in a file of its own.

    Raises `Refused` if the content is too long.
    """
    drawn = io.BytesIO()
    _made(content).save(drawn, kind="svg", xmldecl=False, scale=4, nl=False)
    return drawn.getvalue().decode()


def _made(content: str) -> Any:
    try:
        return require_qr().make(content, micro=False, error="l")
    except ValueError:
        problem = "the code is too long for a QR picture"
    raise Refused(problem)  # outside the handler: the drawing package's own error holds the code
