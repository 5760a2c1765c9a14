"""`cancel`, `retry` and `extend` of many flows: who is meant, what is said of each, how it ends."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import Result

from holdfast.flows.document import Params
from holdfast.operating.audit import operator
from holdfast.operating.bulk import Retry
from holdfast.operating.choosing import Choice
from holdfast_journal import SqlJournal
from holdfast_journal.ownership import retrying
from holdfast_journal.ownership.values import NewFlow
from tests.cli.journals import failed, move, open_at, run, start

ENDS = {
    "ann": "failed",
    "bob": "scared",
    "cleo": "done",
    "dan": "waiting",
    "maybe": "failed",
    "old": "expired",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows that ended in every way, one that waits, and one of another batch."""
    path = tmp_path_factory.mktemp("made") / "holdfast.db"
    journal = open_at(path)
    params = Params("ws://relay", "appid", {}).to_bytes()
    journal.start_flows("default", [NewFlow(name, "provision", params) for name in ENDS])
    for flow in journal.take():
        status = ENDS[flow.name]
        sent = 1 if flow.name == "maybe" else None
        shred = status in ("done", "expired")
        move(flow, status, finished=status != "waiting", shred=shred, sent=sent)
    move(start(journal, "ann", batch="march")["ann"], "crowded", finished=True)
    journal.close()
    return path


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / made.name


def attempts(database: Path) -> dict[str, int]:
    rows = json.loads(run(database, "status", "--json").stdout)
    return {f"{row['batch']}/{row['name']}": row["attempt"] for row in rows}


def said(result: Result) -> list[str]:
    return result.stdout.splitlines()


def test_several_names_are_retried(database: Path) -> None:
    """Each is told; the command succeeds."""
    result = run(database, "retry", "ann", "bob", "--batch", "default")
    assert result.exit_code == 0, result.output
    assert said(result)[:2] == [
        "'ann' gets a new code: attempt 2.",
        "'bob' gets a new code: attempt 2.",
    ]
    assert said(result)[-1] == "2 flows get a new code."
    assert [name for name, attempt in attempts(database).items() if attempt == 2] == [
        "default/ann",
        "default/bob",
    ]


def test_what_stays_as_it_is_is_told(database: Path) -> None:
    """Of those that options choose; the status is 1, and what could be done is done."""
    result = run(database, "retry", "--status", "ended", "--batch", "default")
    assert result.exit_code == 1
    lines = said(result)
    assert any(line.startswith("'cleo' went well (done)") for line in lines)
    assert any(line.startswith("'old' expired, which made its secret") for line in lines)
    assert any(line.startswith("'maybe' may have the secret already") for line in lines)
    assert "'ann' gets a new code: attempt 2." in lines
    assert "2 flows get a new code." in lines
    assert "3 of 5 flows stayed as they were" in result.stderr
    forced = run(database, "retry", "--name", "may*", "--force")
    assert (forced.exit_code, said(forced)[0]) == (0, "'default/maybe' gets a new code: attempt 2.")


@pytest.mark.parametrize("command", ["cancel", "retry", "extend"])
def test_a_look_before(database: Path, command: str) -> None:
    """--dry-run tells the same of each, and changes nothing, not even a time of the file."""
    deadline = ["--deadline", "1h"] if command == "extend" else []
    before = database.read_bytes()
    result = run(database, command, "--name", "*", "--dry-run", *deadline)
    assert result.exit_code == 0, result.output
    would = sum(" would " in line for line in said(result)[:-1])
    assert would == {"cancel": 1, "retry": 3, "extend": 5}[command]
    assert said(result)[-1].startswith("1 flow would" if would == 1 else f"{would} flows would")
    assert len(said(result)) == len(ENDS) + 2
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["retry"], "say which"),
        (["cancel"], "say which"),
        (["extend", "ann"], "--deadline"),
        (["extend", "dan", "--deadline", "5"], "give it a unit"),
        (["retry", "ann"], "'ann' is in the batches 'default', 'march'"),
        (["retry", "bob", "eve"], "no flow is called 'eve'"),
        (["retry", "--batch", "none"], "no batch is called 'none'"),
        (["retry", "--status", "x"], "there is no status 'x'"),
        (["cancel", "cleo"], "'cleo' has ended already (done)"),
        (["cancel", "--status", "waiting"], "say --yes"),
        (["extend", "old", "--deadline", "1h"], "'old' has ended (expired)"),
    ],
)
def test_what_is_refused_as_a_whole(database: Path, args: Sequence[str], words: str) -> None:
    """One line, status 2, and nothing is changed."""
    before = attempts(database)
    failed(run(database, *args), words)
    assert attempts(database) == before


def test_nobody_is_like_that(database: Path) -> None:
    """A timer may ask for nothing."""
    for args in (["cancel", "--yes"], ["retry"], ["extend", "--deadline", "1h"]):
        result = run(database, *args, "--name", "nobody*")
        assert (result.exit_code, result.stdout) == (0, "No flow is like that.\n")


def test_the_same_command_goes_on(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two transactions and started again, it retries the others, and says so."""
    monkeypatch.setattr(retrying, "AT_ONCE", 1)
    asked = Retry(Choice(statuses=("failed", "crowded", "scared")))
    journal = open_at(database)
    rows = [row for row in journal.overview() if row.status in ("failed", "crowded", "scared")]
    asked.plan(journal, rows)
    first = next(asked.carry_out(journal, operator()))
    [again] = take_new(journal)
    move(again, "failed", finished=True)
    journal.close()
    words = [each for word in asked.choice.statuses for each in ("--status", word)]
    dry = run(database, "retry", *words, "--dry-run")
    assert "was interrupted: 3 of its flows are left" in dry.stdout
    result = run(database, "retry", *words)
    assert result.exit_code == 0, result.output
    assert "3 flows get a new code." in result.stdout
    after = attempts(database)
    assert after[f"{first.row.batch}/{first.row.name}"] == 2
    assert sorted(after.values()) == [1, 1, 1, 2, 2, 2, 2]
    assert "was interrupted" not in run(database, "retry", *words).stdout


def take_new(journal: SqlJournal) -> list[object]:
    new = [row.id for row in journal.overview() if row.status == "new"]
    return list(journal.take(ids=new))


def test_another_deadline(database: Path) -> None:
    """It is told to whoever runs the flow, and kept for a retry."""
    result = run(database, "extend", "dan", "bob", "--deadline", "30d")
    assert result.exit_code == 0, result.output
    assert [line[:16] for line in said(result)] == [
        *("'bob' expires at", "'dan' expires at", "2 flows expire a"),
    ]
    rows = {row["name"]: row for row in json.loads(run(database, "status", "--json").stdout)}
    assert str(rows["dan"]["request"]).startswith("expire at ")
    assert rows["bob"]["request"] is None
    for name in ("dan", "bob"):
        facts = dict(line.split(maxsplit=1) for line in said(run(database, "status", name)))
        assert facts["deadline"].startswith("2")
    assert "cancelling" not in run(database, "status").stdout
    assert run(database, "retry", "bob").exit_code == 0
    assert run(database, "extend", "bob", "--deadline", "NONE").stdout == "'bob' never expires.\n"
    assert "deadline" not in run(database, "status", "bob").stdout
    journal = open_at(database)
    [bob] = journal.take(names=["bob"])
    deadline = Params.from_bytes(bob.params).deadline
    journal.close()
    assert deadline is None
