"""Names of files: what another side may call them here, and how they are shown.

A name that the other side offers is hostile until it has been through `safe_name`; a name that goes
to a screen goes through `shown`, also if it is one of ours.
"""

import os
import re
import unicodedata
from typing import Final

from holdfast.errors import WormholeError

LONGEST_NAME: Final = 255
"""Bytes (UTF-8) of the longest name that Linux and macOS can keep."""

LONGEST_SHOWN: Final = 300
"""Characters of a path that are shown; of a longer one, the end."""

_LONGEST_SUFFIX = 20
_SEPARATORS = re.compile(r"[/\\]")
_END = re.compile(r"[\s.]+\Z")
_JOINERS = "\u200c\u200d"
"""Format characters that belong to words of some languages, and to emoji; they hide nothing."""

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)")
"""Names of devices on Windows, whatever follows the first dot."""


class BadName(WormholeError):
    """The other side offers a name that no file can have."""

    advice = "The other side offers a name that no file can have. Choose a name yourself."


def shown(name: str) -> str:
    r"""Return `name` as it can be shown on one line of a terminal.

    Control characters, those that turn the direction of writing or are not seen, and bytes that
    were no UTF-8 become escapes such as `\x1b`, `\u202e` and `\udce9`.
    """
    text = "".join(c if c.isprintable() else _escape(c) for c in name[-LONGEST_SHOWN:])
    return text if len(name) <= LONGEST_SHOWN else f"…{text}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def harmless(name: str) -> str:
    """Return `name` with what deceives a reader or a terminal replaced, one for one.

    Control and format characters and line ends become `_`, and surrogates U+FFFD: with these,
    stock Python stands for bytes that are not UTF-8.
    """
    if name.isprintable():
        return name
    return "".join(_harmless(character) for character in name)


def _harmless(character: str) -> str:
    match unicodedata.category(character):
        case "Cs":
            return "\ufffd"
        case "Cc" | "Cf" | "Zl" | "Zp" if character not in _JOINERS:
            return "_"
        case _:
            return character


def check_name(name: str) -> None:
    """Check that `name`, which a person has chosen, is one of a file in a directory.

    Raises:
        BadName: it is not.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise BadName("No file can have that name. Choose another one.")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise BadName("The name is too long. Choose a shorter one.")


def safe_name(offered: str) -> str:
    """Return the name that what is offered as `offered` may have here.

    It is the last component of `offered`, which nothing can hide in (`harmless`), which is not
    hidden itself (a dot at its front becomes `_`), is not reserved on any system, does not end in
    a dot or a space, and has at most `LONGEST_NAME` bytes. A safe name stays as it is.

    Raises:
        BadName: nothing is left of it.
    """
    last = _SEPARATORS.split(offered.rstrip("/\\"))[-1]
    name = _END.sub("", harmless(last)).strip()
    if not name.strip("."):
        raise BadName
    if name.startswith("."):
        name = "_" + name.lstrip(".")
    if _RESERVED.match(name):
        name = "_" + name
    return fitting(name)


def fitting(name: str, room: int = LONGEST_NAME) -> str:
    """Return `name`, shortened before its suffix to at most `room` bytes."""
    if len(name.encode()) <= room:
        return name
    stem, dot, suffix = name.rpartition(".")
    end = (dot + suffix).encode()
    if not stem or len(end) > _LONGEST_SUFFIX:
        stem, end = name, b""
    cut = stem.encode()[: room - len(end)].decode(errors="ignore") + end.decode()
    return _END.sub("", cut)


def numbered(name: str, number: int) -> str:
    """Return another name like `name`: `report.pdf` becomes `report (2).pdf`."""
    stem, dot, suffix = name.rpartition(".")
    if not stem.strip(".") or len((dot + suffix).encode()) > _LONGEST_SUFFIX:
        stem, dot, suffix = name, "", ""
    end = f" ({number}){dot}{suffix}"
    return fitting(stem, LONGEST_NAME - len(end.encode())) + end
