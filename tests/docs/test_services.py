"""The manual's page on services, its units and its containers, as far as no service runs."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from holdfast.cli.channel import Record, as_json
from holdfast.cli.main import COMMANDS
from holdfast.console.listening import Where
from tests.docs.conftest import DOCS

ROOT = DOCS.parent
PAGE = (DOCS / "services.md").read_text()
UNITS = sorted((DOCS / "systemd").iterdir())
COMMAND = re.compile(r"^ExecStart=/opt/holdfast/bin/holdfast (.+)$", re.MULTILINE)
COMPOSE = yaml.safe_load((DOCS / "container/compose.yaml").read_text())

SYSTEMD = shutil.which("systemd-analyze")


def understood(words: list[str]) -> None:
    """Parse the words of a command, and start nothing."""
    command = importlib.import_module(f"holdfast.cli.commands.{words[0]}").command
    if isinstance(command, click.Group):
        command, words = command.commands[words[1]], words[1:]
    given = command.make_context(words[0], words[1:]).params
    if words[0] == "console":
        Where(given["listen"], given["tls"], given["hosts"])  # refuses what is not safe


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """The units, as if Holdfast were where they say."""
    program = tmp_path / "holdfast"
    program.symlink_to(sys.executable)
    for unit in UNITS:
        text = unit.read_text().replace("/opt/holdfast/bin/holdfast", str(program))
        (tmp_path / unit.name).write_text(text)
    return [tmp_path / unit.name for unit in UNITS]


@pytest.mark.parametrize(
    "unit",
    [each for each in UNITS if each.suffix == ".service"],
    ids=lambda unit: unit.stem,
)
def test_the_units_start_what_there_is(unit: Path) -> None:
    """Each starts one command, with options that exist and values that they take."""
    [words] = COMMAND.findall(unit.read_text())
    understood(shlex.split(words))


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed")
def test_the_units_are_sound(installed: list[Path]) -> None:
    """Systemd knows every line of them, and they are confined."""
    words = ["systemd-analyze", "verify", "--man=no", *map(str, installed)]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    services = [str(each) for each in installed if each.suffix == ".service"]
    words = ["systemd-analyze", "security", "--offline=yes", "--threshold=25", *services]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_every_unit_is_shown() -> None:
    """The pages show each of them."""
    names = ("keeping", "services", "mailbox", "relay")
    pages = "".join((DOCS / f"{name}.md").read_text() for name in names)
    shown = re.findall(r"\{literalinclude\} systemd/(\S+)", pages)
    assert sorted(shown) == [each.name for each in UNITS]


def test_the_keys_of_a_line() -> None:
    """The page names the keys that are on every line, in their order."""
    table = PAGE.partition("on every line of JSON")[2].partition("| `event` | what")[0]
    line = as_json(Record(0.0, "info", "event", "message", {}), "run", 1)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == re.findall(r'"(\w+)":', line)


def test_the_events() -> None:
    """The page names those that the code says, and no others."""
    table = PAGE.partition("| `event` | what")[2].partition("\n\n")[0]
    cli = ROOT / "engine/holdfast/cli"
    code = "".join(path.read_text() for path in cli.rglob("*.py"))
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(
        re.findall(r'\b(?:say\.)?log\(\s*"(\w+)"', code)
    )


def test_the_image_has_what_its_package_needs() -> None:
    """What it copies is there, and is all that pyproject.toml makes a wheel from."""
    text = (DOCS / "container/Containerfile").read_text()
    copied = [
        word for line in re.findall(r"^COPY ([^-].*) \S+$", text, re.M) for word in line.split()
    ]
    assert {"engine", "journal", "migrations", "README.md", "LICENSE"} < set(copied)
    assert [each for each in copied if not (ROOT / each).exists()] == []


def settings(service: dict[str, Any]) -> set[str]:
    return {name for name in service.get("environment", {}) if name.startswith("HOLDFAST_")}


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_the_compose_file(name: str) -> None:
    """Each service runs a command that there is, after services that there are."""
    service = COMPOSE["services"][name]
    assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])
    volumes = {each.partition(":")[0] for each in service.get("volumes", ())}
    assert volumes <= set(COMPOSE["volumes"])
    if service["image"] == "holdfast" and "entrypoint" not in service:
        understood(service["command"])
        code = "".join(path.read_text() for path in ROOT.glob("[ej]*/**/*.py"))
        assert [each for each in settings(service) if f'"{each}"' not in code] == []


def test_the_container_logs_for_programs() -> None:
    """The image names a form of the log, and a command of ours as its first word."""
    text = (DOCS / "container/Containerfile").read_text()
    assert "HOLDFAST_LOG_FORMAT=json" in text
    [default] = re.findall(r'^CMD \["(\w+)"\]$', text, re.MULTILINE)
    assert default in COMMANDS
