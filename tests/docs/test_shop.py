"""The manual's page on a shop: what it types exists. `make shop` pastes it."""

import json
import re
import shlex
from pathlib import Path

import pytest

from holdfast.console.api.route import PREFIX
from holdfast.console.api.routes import ROUTES
from tests.docs.conftest import DOCS
from tests.docs.test_services import understood

PAGE = (DOCS / "shop.md").read_text()
BLOCKS = "".join(re.findall(r"^```(?:sh|\{code-block\} sh\n.*?)\n(.*?)^```$", PAGE, re.M | re.S))
COMMANDS = re.findall(r"(?:^|\$\()holdfast ([^>|&;)\n]+)", BLOCKS.replace("\\\n", ""), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_exist(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With these options and values."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.replace("$shop", "http://127.0.0.1:8080/"))
    understood(words)


def test_all_of_them_are_found() -> None:
    """None is overlooked by the expression above."""
    assert len(COMMANDS) == BLOCKS.count("holdfast ") == 6


def test_what_it_asks_for_exists() -> None:
    """The request of both languages has an address and fields of the API."""
    example = (DOCS / "examples/shop.mjs").read_text()
    [start] = [each for each in ROUTES if (each.method, each.path) == ("POST", "/flows")]
    assert start.body is not None
    for text in (PAGE, example):
        assert f"{PREFIX}{start.path}" in text
    [asked] = re.findall(r"--data '(\{\"name.+?)'", PAGE)
    [body] = re.findall(r"body: JSON.stringify\(\{ (.+?) \}\)", example)
    in_example = [each.partition(":")[0] for each in body.split(", ")]
    assert list(json.loads(asked)) == in_example
    assert set(start.body["required"]) <= {*in_example} <= {*start.body["properties"]}
