"""Who acts, as it is written down with what they do.

`Actor.does` says what. The words are stored, so they never change; `ACTIONS` explains them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from holdfast.operating.printable import printable

if TYPE_CHECKING:
    from holdfast_journal import Actor

ACTIONS: Final[Mapping[str, str]] = {
    "start": "a flow was started",
    "cancel": "a flow was asked to end",
    "retry": "a flow was put back to its beginning",
    "extend": "a flow was given another deadline",
    "code shown": "a code was shown to somebody",
    "purge": "flows that ended long ago were deleted",
    "rotate": "all flows were sealed under another master key",
    "drain": "a worker was asked to give back its flows and end",
    "doctor": "the database was looked through for damage",
    "bulk": "something was asked of many flows at once",
    "token made": "a token was made",
    "token revoked": "a token was made useless",
    "login": "somebody came into the console",
}
"""The actions, and what each means."""

LONGEST_WHY: Final = 500
"""Characters of a reason that an operator gives."""


def operator(why: str = "") -> Actor:
    """Return whoever runs this process, as the one who acts by a command."""
    from holdfast_journal import Actor

    return Actor(_user(), printable(socket.gethostname(), 200), "command", checked_why(why))


def checked_why(why: str) -> str:
    """Return a reason as it can be stored and shown."""
    return printable(why.strip(), LONGEST_WHY)


def _user() -> str:
    import pwd

    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # a container's user often has no name
        name = f"user {number}"
    behind = os.environ.get("SUDO_USER") if number == 0 else None
    return printable(f"{name} ({behind})" if behind else name, 200)
