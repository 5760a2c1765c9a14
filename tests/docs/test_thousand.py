"""The manual's page on a thousand people: what it types exists.

`make thousand` pastes it, with PEOPLE=1000 if you have the time.
"""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.conftest import DOCS
from tests.docs.test_services import understood

PAGE = (DOCS / "thousand.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(
    r"(?:^|[|{] |until )holdfast ([^>|&;\n]+)", "".join(BLOCKS).replace("\\\n", ""), re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_exist(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With these options and values."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("name,secret\nada,hunter2\n")
    understood(shlex.split(re.sub(r" 2$", "", command.strip())))


def test_all_of_them_are_found() -> None:
    """None is overlooked by the expression above."""
    assert len(COMMANDS) == "".join(BLOCKS).count("holdfast ")
