"""The reference of commands, the table of settings and that of exit codes are what the code has."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from holdfast.cli.failure import Failure
from holdfast.cli.main import COMMANDS
from tests.docs.conftest import DOCS

ROOT = DOCS.parent
VARIABLE = re.compile(r"(?:HOLDFAST|WORMHOLE)_[A-Z_]+")


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """What makes these pages when the manual is built."""
    spec = importlib.util.spec_from_file_location("made", DOCS / "command_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(made: ModuleType, name: str) -> str:
    """A page as it is built."""
    source = [(DOCS / name).read_text()]
    made.insert(None, name, source)
    return source[0]


def test_every_command_and_option_is_there(made: ModuleType) -> None:
    """Under its heading, with every name that it has, what it is for, and its default."""
    sections = dict(
        re.findall(r"^##+ holdfast (.+)\n((?:(?!##).*\n?)*)", page(made, "reference.md"), re.M)
    )
    assert {name.split()[0] for name in sections} == set(COMMANDS)
    assert {"key rotate", "db upgrade"} <= set(sections)
    for ctx in made.commands():
        section = sections[ctx.command_path.removeprefix("holdfast ")]
        lines = section.splitlines()
        for option in ctx.command.get_params(ctx):
            record = option.get_help_record(ctx)
            if (
                isinstance(option, click.Option)
                and record is not None
                and "--help" not in option.opts
            ):
                at = lines.index(f"`{record[0]}`")
                words = lines[at + 1].removeprefix(": ").replace("\\", "")
                assert words == record[1].replace("\\", "").replace("\n", " ")


def test_settings(made: ModuleType) -> None:
    """Every variable that the code knows is in a table, and no other; with the right default."""
    text = page(made, "settings.md")
    firsts = re.findall(r"^\| (`[A-Z][^|]*) \|", text, re.M)
    there = {each for first in firsts for each in VARIABLE.findall(first)}
    assert there == set(known())
    relay = "| `HOLDFAST_RELAY`, then `WORMHOLE_RELAY_URL` | `--relay` | ws://relay.magic"
    assert relay in text


def known() -> Iterator[str]:
    """The variables that stand in the sources as a text of their own."""
    for root in ("engine", "journal", "migrations"):
        for path in (ROOT / root).rglob("*.py"):
            source = path.read_text()
            if VARIABLE.search(source):
                yield from _texts(path, source)


def _texts(path: Path, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source, path)):
        value = node.value if isinstance(node, ast.Constant) else None
        text = value.decode() if isinstance(value, bytes) and value.isascii() else value
        if isinstance(text, str) and VARIABLE.fullmatch(text):
            yield text


def test_exit_codes() -> None:
    """The table has the exit code of every kind of failure, and success."""
    rows = re.findall(r"^\| (\d+) \|", (DOCS / "settings.md").read_text(), re.M)
    assert [int(row) for row in rows] == sorted({0, *codes(Failure)})


def codes(kind: type[Failure]) -> Iterator[int]:
    yield kind.exit_code
    for each in kind.__subclasses__():
        yield from codes(each)
