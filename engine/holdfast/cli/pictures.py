"""A code as a picture for a phone's camera."""

import io
import sys
from types import ModuleType
from urllib.parse import quote

from rich.cells import cell_len

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast_journal import install

_SCHEME = "wormhole-transfer:"
_WHITE_ON_BLACK = "\x1b[97;40m"
_PLAIN = "\x1b[0m"


def require_pictures() -> None:
    """Raise `Failure` if pictures cannot be drawn; call it before starting anything."""
    _segno()


def code_picture(code: str) -> str:
    """Return the QR code that wormhole applications scan, as lines for a terminal.

    The content is `wormhole-transfer:CODE` (uri-scheme.md of magic-wormhole-protocols).
    Each line sets its colours, because scanners need dark on light, and the terminal's own may be
    light on dark. Raises `Failure` if the package that draws is not installed.
    """
    drawn = io.StringIO()
    uri = _SCHEME + quote(code, safe="-")
    _segno().make(uri, micro=False, error="l").terminal(drawn, compact=True)
    lines = drawn.getvalue().splitlines()
    return "".join(f"{_WHITE_ON_BLACK}{line}{_PLAIN}\n" for line in lines)


def fitting_picture(code: str) -> str:
    """Return the picture of a code, or a line that says why standard output cannot show it.

    A picture that is wrapped or escaped still looks like one, but cameras cannot read it.
    """
    try:
        picture = code_picture(code)
    except ValueError:
        return "(no picture: the code is too long)"
    try:
        picture.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "(no picture: this terminal's encoding lacks its blocks)"
    line = picture.partition("\n")[0]
    width = cell_len(line.removeprefix(_WHITE_ON_BLACK).removesuffix(_PLAIN))
    if width > say.terminal_columns(sys.stdout):
        return f"(no picture: it needs a terminal of {width} columns)"
    return picture


def _segno() -> ModuleType:
    try:
        import segno
    except ModuleNotFoundError as error:
        if error.name != "segno":
            raise
    else:
        module: ModuleType = segno
        return module
    raise Failure(f"QR pictures need the package segno: {install('qr')}")
