"""Memory in large pages, for commands that serve: they begin again, with a heap that has them.

What a worker needs for one event is spread over thousands of pages of 4 kB. On a virtual machine
the first touch of each, after a sleep, may be dear, and in pages of 2 MB there are few of them: a
hand-over takes a fifth to two fifths less CPU time (performance.md, "Large pages"). Linux gives a
heap such pages if it is asked to.

glibc and Python decide how they allocate when a process begins, by variables of its environment. So
a command sets them, and executes itself once more before it has imported much: under the same
number, with the same words and descriptors. It takes the variables out of its environment then, so
that what it starts does not inherit them. Whoever sets one of them decides, and nothing happens.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

SERVING: Final = frozenset({"provision", "run", "console", "mailbox"})
"""The commands that do so. Those that move files stay: they use little memory, and are to take
little."""

VARIABLES: Final = {
    # What Python itself allocates is in pieces of 1 MB, which are too small for large pages.
    "PYTHONMALLOC": "malloc",
    # One heap for all threads: Python's lock lets only one of them allocate at a time anyway.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1",
}
_AGAIN: Final = "_HOLDFAST_BEGAN_AGAIN"
_NAME: Final = Path("/proc/self/comm")
"""What `ps` and `pkill` call this process: its program, which is Python the second time."""
_GLIBC: Final = (2, 35)
"""The first version that can be asked."""
_SETTING: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_HEAVY: Final = {"twisted", "sqlalchemy"}


def begin_again(words: Sequence[str]) -> None:
    """Execute this process again if that helps; it returns if not, and the second time.

    Args:
        words: of the command line, after the program.
    """
    if (name := forget(os.environ)) is not None:
        with suppress(OSError):  # where /proc is not to be written
            _NAME.write_text(name)
        return
    if not words or words[0] not in SERVING:
        return
    if is_chosen(os.environ) or not (_is_alone() and has_them()):
        return
    arguments = [sys.executable, *sys.orig_argv[1:]]
    with suppress(OSError):  # without large pages all is as well, only slower
        environ = {**os.environ, **VARIABLES, _AGAIN: _NAME.read_text().strip()}
        os.execve(sys.executable, arguments, environ)  # noqa: S606 - itself


def forget(environ: MutableMapping[str, str]) -> str | None:
    """Take what `begin_again` put into the environment out of it.

    Returns:
        What this process was called before; None if nothing was put there.
    """
    called = environ.pop(_AGAIN, None)
    if called is not None:
        for name in VARIABLES:
            environ.pop(name, None)
    return called


def is_chosen(environ: Mapping[str, str]) -> bool:
    """Whether somebody has decided how memory is allocated."""
    return not VARIABLES.keys().isdisjoint(environ)


def has_them(setting: Path = _SETTING) -> bool:
    """Whether this system has large pages, and a glibc that asks for them."""
    try:
        return "[never]" not in setting.read_text() and _glibc() >= _GLIBC
    except OSError:  # it is not Linux, or was built without them
        return False


def _is_alone() -> bool:
    """Whether this process is the command, and nothing else yet.

    A program into which others have imported much cannot begin again, nor can one that came by
    standard input.
    """
    return bool(sys.executable) and Path(sys.argv[0]).is_file() and _HEAVY.isdisjoint(sys.modules)


def _glibc() -> tuple[int, ...]:
    """The version of glibc; nothing for another library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return tuple(map(int, version.split("."))) if name == "glibc" else ()
    except ValueError:  # there is no such name, or the version is not a number
        return ()
