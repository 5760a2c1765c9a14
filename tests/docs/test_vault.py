"""The manual's page on minting with OpenBao, as far as no OpenBao is needed."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from holdfast.cli.commands import provision
from holdfast.operating.minting import parse_command
from tests.docs.conftest import DOCS

PAGE = (DOCS / "how-to/vault.md").read_text()
LINES = re.findall(r"^ *holdfast (provision .*--mint.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_minting(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is taken, a name stays one word of it, and a wrapping token is asked for."""
    words = shlex.split(line)[1:]
    (tmp_path / "people.csv").write_text("name\nada\n")
    words[0] = str(tmp_path / "people.csv")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    given = provision.command.make_context("provision", words).params
    (tmp_path / "bao").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > asked\necho s.wrapped\n')
    (tmp_path / "bao").chmod(0o700)
    command = parse_command(given["mint"])
    asked = [word.replace("{name}", "ada; $(id)") for word in command]
    made = subprocess.run(asked, cwd=tmp_path, capture_output=True, check=True)
    assert made.stdout == b"s.wrapped\n"
    there = (tmp_path / "asked").read_text().splitlines()
    assert any(word.endswith("ada; $(id)") for word in there)
    assert {"-wrap-ttl=72h", "-field=wrapping_token"} <= set(there)


def test_there_are_such_lines() -> None:
    """They are found."""
    assert len(LINES) == 2
