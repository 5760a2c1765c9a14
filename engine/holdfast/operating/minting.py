"""The command of `provision --mint`: its words, and where a name may stand in them.

Names come from a file that strangers may have filled in. As an argument, a name is always data.
Inside a script for a shell or another interpreter, it would be run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused

PLACEHOLDER: Final = "{name}"

FILE_PLACEHOLDER: Final = "{file}"
"""Stands for a path that ends in a name that may be the person's."""

_SHELLS: Final = frozenset(
    [
        "sh",
        "ash",
        "bash",
        "csh",
        "dash",
        "elvish",
        "fish",
        "ksh",
        "lksh",
        "mksh",
        "nu",
        "oksh",
        "rbash",
        "rc",
        "tcsh",
        "xonsh",
        "yash",
        "zsh",
    ]
)

_CODE_FLAGS: Final = {
    **dict.fromkeys(_SHELLS, "c"),
    # These hand it to a shell.
    **dict.fromkeys(("expect", "flock", "runuser", "script", "sg", "su"), "c"),
    **dict.fromkeys(("python", "pypy", "guile", "psql", "pwsh", "powershell"), "cC"),
    **dict.fromkeys(("perl", "ruby", "lua", "luajit", "julia", "elixir", "erl", "groovy"), "eE"),
    **dict.fromkeys(("node", "nodejs", "bun", "deno"), "ep"),
    **dict.fromkeys(("osascript", "Rscript", "R", "mysql", "mariadb"), "e"),
    "php": "rBRE",
    "env": "S",
}
"""The letters of the options whose value each of these runs."""

_LONG_FLAGS: Final = (
    *("--command", "--eval", "--exec", "--execute", "--expression", "--print", "--run"),
    *("--session-command", "--source", "--split-string"),
)

_FIRST_WORD_IS_CODE: Final = frozenset(
    ["awk", "gawk", "mawk", "nawk", "busybox-awk", "sed", "gsed"]
)
_THEIR_OPTIONS_WITH_VALUE: Final = frozenset({"-v", "-F", "-f", "--assign", "--file"})

_ALL_IS_CODE: Final = frozenset(
    [
        "ssh",
        "autossh",
        "mosh",
        "rsh",
        "sshpass",
        "eval",
        "watch",
        "parallel",
        "make",
        "gmake",
        "at",
        "batch",
        "cmd",
        "cmd.exe",
    ]
)
"""Programs that join their arguments and let a shell read them, here or on another machine."""


def parse_command(
    text: str, option: str = "--mint", placeholders: Sequence[str] = (PLACEHOLDER,)
) -> list[str]:
    """Return the words of the command that `option` has, after finding its program.

    Args:
        text: the command.
        option: what it was given with.
        placeholders: what in it stands for a name, or for what may hold one.

    Raises Refused if the command is malformed, or if a name would be run as part of a script.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Refused(f"{option}: {str(error).lower()}: {quoted(text)}") from None
    if not words:
        raise Refused(f"{option}: there is no command in it")
    program = shutil.which(words[0])
    if program is None:
        raise Refused(f"{option}: there is no program {quoted(words[0])} that can be run")
    words = [str(Path(program).absolute()), *words[1:]]
    for placeholder in placeholders:
        runs_it = script_with_name(words, placeholder)
        if runs_it is not None:
            variable = f"HOLDFAST_{placeholder[1:-1].upper()}"
            raise Refused(
                f"{option}: {placeholder} stands in a script that {quoted(runs_it)} runs, and a"
                " name that holds a command would be run too; read the environment variable"
                f' {variable} there instead: "${variable}" in a shell, with the quotation marks'
            )
    return words


def mint_seconds_from(mint: str | None, timeout: float | None) -> float:
    """Return how long the command may take, in seconds. Raises Refused."""
    from holdfast.flows.shipped.command import LONGEST_TIMEOUT, TIMEOUT

    if timeout is None:
        return TIMEOUT
    if mint is None:
        raise Refused("--mint-timeout: there is no --mint whose time it could limit")
    if timeout > LONGEST_TIMEOUT:
        raise Refused("--mint-timeout: at most 24h")
    return timeout


def script_with_name(words: Sequence[str], placeholder: str = PLACEHOLDER) -> str | None:
    """Return the interpreter that would read a name as part of its script, or None.

    It may stand anywhere, as in `env X=1 nice bash -ec SCRIPT`.
    """
    for position, word in enumerate(words):
        for name in _names_of(word, first=position == 0):
            if any(placeholder in each for each in _code(name, words[position + 1 :])):
                return name
    return None


def _names_of(word: str, *, first: bool) -> Iterator[str]:
    """Yield the program's name, with and without a version, also that behind a symbolic link."""
    paths = [word, os.path.realpath(word)] if first else [word]
    for path in paths:
        name = path.rpartition("/")[2]
        yield name
        yield re.sub(r"[-0-9.]+$", "", name)


def _code(program: str, words: Sequence[str]) -> Iterator[str]:
    """The words that the program would read as code."""
    if program in _ALL_IS_CODE:
        yield from words
    elif program in _FIRST_WORD_IS_CODE:
        yield from _first_word(words)
    elif program in _CODE_FLAGS:
        yield from _flagged(program, words)


def _flagged(program: str, words: Sequence[str]) -> Iterator[str]:
    # These take one script, and everything that follows is its arguments.
    takes_one = program in _SHELLS or program in ("python", "pypy")
    behind_flag = value = False
    for word in words:
        if word.startswith(("-", "+")):
            if _is_code_flag(word, _CODE_FLAGS[program]):
                behind_flag = True
                yield word  # the code may be in the same word
            value = takes_one and word.endswith(("o", "O", "W", "X", "file"))
        elif value:
            value = False
        elif behind_flag:
            behind_flag = False
            yield word
            if takes_one:
                return
        elif takes_one:
            return  # a file that holds the script


def _is_code_flag(word: str, letters: str) -> bool:
    if word.startswith("--"):
        return word.partition("=")[0] in _LONG_FLAGS
    # PowerShell spells -Command out, which has the letter too.
    return any(letter in word for letter in letters)


def _first_word(words: Sequence[str]) -> Iterator[str]:
    value = False
    for word in words:
        if value:
            value = False
        elif word in _THEIR_OPTIONS_WITH_VALUE:
            value = True
        elif word.startswith("-") and word != "-":
            if _is_code_flag(word, "e"):
                yield from words
                return
        else:
            yield word
            return
