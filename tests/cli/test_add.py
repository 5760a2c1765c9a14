"""``holdfast add``: flows are started, left to the workers, and their codes waited for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.main import holdfast
from holdfast.flows.document import Params
from holdfast.operating.adding import Codes
from holdfast_journal import Deeds, TakenFlow
from tests.cli.journals import failed, move, open_at


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "holdfast.db"


def add(db: Path, *args: str, typed: str | None = None) -> Result:
    env = {"HOLDFAST_KEY": None, "HOLDFAST_KEY_FILE": None, "HOLDFAST_DB": str(db)}
    return CliRunner().invoke(holdfast, ["add", *args], input=typed, env=env)


def taken(db: Path, act: Callable[[TakenFlow], object] | None = None) -> list[TakenFlow]:
    """Take all flows, as a worker does, and do something with each of them."""
    journal = open_at(db)
    flows = journal.take()
    if act is not None:
        for each in flows:
            act(each)
    journal.give_back()
    journal.close()
    return flows


def coded(flow: TakenFlow) -> None:
    move(flow, "waiting", code=f"4-{flow.name.lower()}")


def over(flow: TakenFlow) -> None:
    move(flow, "done", finished=True, shred=True)


def secret_of(flow: TakenFlow) -> Any:
    return Params.from_bytes(flow.params).params["secret"]


def test_one_person(db: Path) -> None:
    """The secret comes from standard input; the same again adds nobody, and prints the code."""
    first = add(db, " ada ", "--relay", "ws://mailbox.example/v1", typed="s3cr3t\n")
    assert (first.exit_code, first.stdout) == (0, "")
    assert "1 person: 1 added.\n" in first.stderr
    assert "no worker runs now: 'holdfast run' makes the codes" in first.stderr
    [flow] = taken(db, coded)
    assert (flow.name, secret_of(flow)) == ("ada", "s3cr3t")
    again = add(db, "ada", "--wait-codes", typed="s3cr3t")
    assert (again.exit_code, again.stdout) == (0, "4-ada\n")
    assert "1 person: 1 added before.\n" in again.stderr
    failed(add(db, "ada", typed="another"), "holdfast: 'ada' was started with another secret")


def test_people(db: Path, tmp_path: Path) -> None:
    """Each has a line; who has collected has none, and the exit status says so."""
    source = tmp_path / "people.csv"
    source.write_text("name,secret\nada,A-1\nbob,B-1\n")
    assert add(db, str(source)).exit_code == 0
    taken(db, coded)
    result = add(db, str(source), "--wait-codes")
    assert (result.exit_code, result.stdout) == (0, "ada\t4-ada\nbob\t4-bob\n")
    taken(db, lambda flow: over(flow) if flow.name == "bob" else None)
    result = add(db, str(source), "--wait-codes")
    assert (result.exit_code, result.stdout) == (1, "ada\t4-ada\n")
    assert "'bob' has no code: it is done\n" in result.stderr


def test_people_on_standard_input(db: Path) -> None:
    """As JSON lines, for example, from another program."""
    lines = "".join(json.dumps({"name": name, "secret": "x"}) + "\n" for name in ("ada", "bob"))
    assert add(db, "-", typed=lines).exit_code == 0
    assert [flow.name for flow in taken(db)] == ["ada", "bob"]


def test_the_name_of_a_file_that_is_there(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a person's name all the same: names may come from strangers."""
    monkeypatch.chdir(tmp_path)
    Path("people").write_text("name,secret\nada,A-1\n")
    assert add(db, "people", typed="x").exit_code == 0
    assert [flow.name for flow in taken(db)] == ["people"]


def test_minted(db: Path) -> None:
    """No secret is read, and the command is what `provision` would run."""
    assert add(db, "ada", "--mint", "echo {name}", "--mint-timeout", "5s").exit_code == 0
    [flow] = taken(db)
    params = Params.from_bytes(flow.params).params
    assert (params["mint"][1:], params["mint_timeout"], params["secret"]) == (["ada"], 5.0, "")


def test_a_secret_in_a_file(db: Path, tmp_path: Path) -> None:
    """It is taken byte for byte."""
    path = tmp_path / "secret"
    path.write_text("line\n")
    assert add(db, "ada", "--secret-file", str(path)).exit_code == 0
    assert secret_of(taken(db)[0]) == "line\n"


def test_codes_that_do_not_come(db: Path) -> None:
    """After the time is over, what was started stays, and the exit status is 1."""
    result = add(db, "ada", "--wait-codes", "--for", "1s", typed="x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "1 of 1 have no code yet; is 'holdfast run' running?" in result.stderr
    assert len(taken(db)) == 1


def test_codes_as_they_come(db: Path) -> None:
    """Each is given once, as soon as it is there; flows of others are none of ours."""
    for name in ("ada", "bob", "eve"):
        add(db, name, typed="x")
    clock = [0.0]
    came = []
    journal = open_at(db)

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        [flow] = journal.take(names=[{1: "eve", 2: "bob", 3: "ada"}[len(slept)]])
        slept.append(flow)
        coded(flow)

    slept: list[Any] = [None]
    codes = Codes(journal, "default", ["ada", "bob"], 60.0, sleep, lambda: clock[0])
    for each in codes:
        came.append((each, len(slept)))
    assert came == [(("bob", "4-bob"), 3), (("ada", "4-ada"), 4)]
    assert (codes.missing, codes.ended) == (set(), {})
    shown = journal.audit(Deeds(action="code shown"))
    assert [each.name for each in shown] == ["ada", "bob"]
    journal.close()


@pytest.mark.parametrize(
    ("args", "typed", "said"),
    [
        (["ada"], "", "there is no text"),
        (["ada"], " \n", "the secret is empty"),
        (["  "], "x", "NAME: the name is empty"),
        (["a\x07"], "x", "NAME: the name holds a control character, U+0007"),
        (["x" * 201], "x", "NAME: the name has 201 characters; the limit is 200"),
        (["ada", "--for", "5s"], "x", "--for: there is nothing to wait for"),
        (["ada", "--mint-timeout", "5s"], "x", "--mint-timeout: there is no --mint"),
        (["ada", "--mint", "echo", "--secret-file", "-"], "x", "not both"),
        (["people.csv", "--secret-file", "-"], "x", "--secret-file: this is for one NAME"),
        (["people.csv"], None, "people.csv: No such file"),
        (["--mint", "echo {name}", "--", "-v"], None, "the name '-v' begins with a hyphen"),
    ],
)
def test_what_is_refused(args: list[str], typed: str | None, said: str, db: Path) -> None:
    """Nothing is started, not even the database is made."""
    failed(add(db, *args, typed=typed), said)
    assert not db.exists()


def test_the_help_names_it() -> None:
    """It is among the commands."""
    assert "Start flows for people, and return at once." in CliRunner().invoke(holdfast).output
