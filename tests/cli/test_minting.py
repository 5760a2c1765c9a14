"""Where a name may stand in the command of ``provision --mint``, and where it would be run."""

import shlex
from pathlib import Path

import pytest

from holdfast.operating.minting import script_with_name
from tests.cli.journals import failed, run

RUN = [
    "sh -c 'echo {name}'",
    "/bin/sh -c 'echo {name}'",
    "bash -ec 'echo \"{name}\"'",
    "bash -c -e 'echo {name}'",
    "bash -eo pipefail -c 'echo {name}'",
    "bash -c -o pipefail 'echo {name}'",
    "sh -c {name}",
    "env X=1 nice -n 5 dash -c 'echo {name}'",
    "env -S 'sh x {name}'",
    "sudo -u op zsh -lc 'token {name}'",
    "docker exec box sh -c 'token {name}'",
    "busybox sh -c 'echo {name}'",
    "fish --command='echo {name}'",
    "python3 -c 'print(\"{name}\")'",
    "/usr/bin/python3.11 -Ic 'print(\"{name}\")'",
    "python3 '-cprint(\"{name}\")'",
    "perl -we 'print \"{name}\"'",
    "perl -e 1 -e 'print \"{name}\"'",
    "ruby -e 'puts \"{name}\"'",
    "node --eval 'console.log(\"{name}\")'",
    "node --eval='console.log(\"{name}\")'",
    "php -r 'echo \"{name}\";'",
    "awk 'BEGIN { print \"{name}\" }'",
    "awk -v x=1 'BEGIN { print \"{name}\" }'",
    "sed -n 's/x/{name}/p' file",
    "sed -n -e 's/x/{name}/p' file",
    "psql -c \"SELECT token('{name}')\"",
    "su op -c 'token {name}'",
    "ssh host token {name}",
    "make NAME={name} token",
]


@pytest.mark.parametrize("command", RUN)
def test_a_name_that_would_be_run(command: str) -> None:
    """Inside the script of a shell or another interpreter, however it is given."""
    assert script_with_name(shlex.split(command)) is not None


DATA = [
    "token {name}",
    "token --user={name} --text 'for {name}, with (love); $x'",
    "sh -c 'token \"$1\"' sh {name}",
    "sh -ec 'token \"$HOLDFAST_NAME\"'",
    "bash -eo pipefail -c 'token \"$1\"' x {name}",
    "bash ./token.sh {name}",
    "python3 -m token {name}",
    "python3 -I token.py -c {name}",
    "python3 -c 'import sys; print(sys.argv[1])' {name}",
    "env NAME={name} sh -c 'token \"$NAME\"'",
    "perl token.pl {name}",
    "awk -v name={name} -f token.awk",
    "./agent.sh {name}",
    "curl -c jar --data-urlencode user={name} https://example.com/",
]


@pytest.mark.parametrize("command", DATA)
def test_a_name_that_is_an_argument(command: str) -> None:
    """In an argument it is data, also behind the script of a shell."""
    assert script_with_name(shlex.split(command)) is None


def test_a_shell_by_another_name(tmp_path: Path) -> None:
    """A symbolic link to a shell is a shell."""
    link = tmp_path / "tool"
    link.symlink_to("/bin/sh")
    assert script_with_name([str(link), "-c", "echo {name}"]) is not None


def test_it_is_refused_before_anybody_is_started(tmp_path: Path) -> None:
    """One line says what to write instead, and there is no database."""
    source, database = tmp_path / "people.csv", tmp_path / "none.db"
    source.write_text('name\n"$(touch pwned)"\n')
    result = run(database, "provision", str(source), "--mint", "sh -c 'token {name}'")
    failed(result, "--mint: {name} stands in a script that 'sh' runs", '"$HOLDFAST_NAME"')
    assert not database.exists()


def test_the_limits_of_its_time(tmp_path: Path) -> None:
    """A time without a command, and one of more than a day, are refused."""
    source, database = tmp_path / "people.csv", tmp_path / "none.db"
    source.write_text("name,secret\nann,A\n")
    for more, said in [
        (["--mint-timeout", "5m"], "--mint-timeout: there is no --mint"),
        (["--mint-timeout", "25h", "--mint", "echo"], "--mint-timeout: at most 24h"),
        (["--mint-timeout", "5", "--mint", "echo"], "give it a unit"),
    ]:
        failed(run(database, "provision", str(source), *more), said)
    assert not database.exists()
