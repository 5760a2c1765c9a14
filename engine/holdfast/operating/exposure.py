"""A people file holds secrets: who can read it, and when it is not needed any more."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from holdfast.operating.printable import printable


def is_open_to_others(path: Path) -> bool:
    """Whether every user of this machine can read a file; False if that cannot be found out."""
    try:
        whole = path.resolve(strict=True)
        if not whole.stat().st_mode & stat.S_IROTH:
            return False
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in whole.parents)
    except OSError:
        return False


def warning(path: Path) -> str | None:
    """Return what to say of a file with secrets that others can read; None if they cannot."""
    if not is_open_to_others(path):
        return None
    command = printable(shlex.join(["chmod", "600", str(path)]), 300)
    return (
        f"{printable(str(path), 300)}: every user of this machine can read the secrets in it;"
        f" {command} keeps them out"
    )


def when_all_have_codes(
    path: Path | str, *, with_secrets: bool, with_files: bool = False
) -> list[str]:
    """Return what to say when all codes are there: lines for people.

    Args:
        path: the people file; a text if it was standard input.
        with_secrets: whether secrets are in it.
        with_files: whether the paths of files are in it.
    """
    stay = ["Leave the files where they are: each is read when its recipient is there."]
    more = stay if with_files else []
    if isinstance(path, str):
        return [
            "All codes are there. You may stop this command: 'holdfast run' goes on without it.",
            *more,
        ]
    file = printable(str(path), 300)
    stop = f"You may stop this command: 'holdfast run' goes on without it, and without {file}."
    lines = [f"All codes are there. {stop}"]
    if with_secrets:
        secrets = "its secrets are in the database, encrypted, and nothing else needs the file."
        lines.append(f"Delete {file} now: {secrets}")
    return lines + more
