"""The entrance of the command line: what it imports, and how it says that something is wrong."""

import importlib
import importlib.metadata
import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from holdfast.cli import failure, main
from holdfast.version import VERSION

HEAVY = {"twisted", "sqlalchemy", "alembic", "rich", "nacl", "platformdirs", "websockets"}


def holdfast(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *args], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("args", [["--help"], ["--version"], []])
def test_asking_for_help_imports_little(args: list[str]) -> None:
    """Neither the listing of commands nor the version needs an engine or a database."""
    script = (
        "import sys, json, holdfast.cli.main as m\n"
        f"sys.argv[1:] = {args!r}\n"
        "try:\n    m.main()\n"
        "finally:\n    print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert set(json.loads(ran.stdout.splitlines()[-1])).isdisjoint(HEAVY)


def test_the_version_is_that_of_the_distribution() -> None:
    """The constant and the installed metadata agree."""
    assert importlib.metadata.version("holdfast-wormhole") == VERSION
    assert holdfast("--version").stdout == f"holdfast {VERSION}\n"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_listing_agrees_with_the_commands(name: str) -> None:
    """The static table says what each command says of itself."""
    command = importlib.import_module(f"holdfast.cli.commands.{name}").command
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == main.COMMANDS[name]


def test_the_listing_fits_a_terminal() -> None:
    """Every command is listed with its help, on one line of 80 columns."""
    lines = CliRunner().invoke(main.holdfast, ["--help"]).stdout.splitlines()
    for name, text in main.COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, text] for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["xyz"], "holdfast: no such command 'xyz' (see 'holdfast --help')"),
        (["stauts"], "no such command 'stauts'; did you mean 'start' or 'status'? (see 'holdfast"),
        (["status", "--kinds"], "no such option '--kinds'; did you mean '--kind'? (see"),
        (["--foo"], "holdfast: no such option '--foo' (see 'holdfast --help')"),
        (["mailbox", "--foo"], "(see 'holdfast mailbox --help')"),
        (["mailbox", "--keep", "soon"], "holdfast: "),
    ],
)
def test_words_that_make_no_sense_are_one_line(args: list[str], said: str) -> None:
    """Misused options are told in one line, with status 2 and no usage text."""
    ran = CliRunner().invoke(main.holdfast, args)
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not ran.stdout


def run_failing(error: BaseException) -> tuple[int, str, BaseException | None]:
    @click.group(cls=main.LazyCommands, invoke_without_command=True)
    def failing() -> None:
        raise error

    ran = CliRunner().invoke(failing, [])
    return ran.exit_code, ran.stderr, ran.exception


def test_exit_statuses() -> None:
    """2 for what was not started, 1 for what did not finish, 130 for Ctrl-C."""
    assert run_failing(failure.Failure("bad"))[:2] == (2, "holdfast: bad\n")
    assert run_failing(failure.Unfinished("part"))[:2] == (1, "holdfast: part\n")
    assert run_failing(KeyboardInterrupt())[:2] == (130, "holdfast: interrupted\n")


def test_a_failure_is_one_harmless_line() -> None:
    """Line ends and terminal commands inside a message are shown, not obeyed."""
    assert run_failing(failure.Failure("a\nb\x1b[2Jc\u202e"))[1] == (
        "holdfast: a\\nb\\x1b[2Jc\\u202e\n"
    )


def test_what_is_not_expected_keeps_its_traceback() -> None:
    """A bug is not dressed up as an error of the user's."""
    assert isinstance(run_failing(ZeroDivisionError("bug"))[2], ZeroDivisionError)
