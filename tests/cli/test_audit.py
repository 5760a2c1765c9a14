"""What commands do is written down: who did it, and from which host; and the life of a token."""

import csv
import json
import os
import pwd
import socket
from pathlib import Path

import pytest

from holdfast.flows.document import Checkpoint, Params
from holdfast.operating.audit import ACTIONS, operator
from holdfast.operating.bulk import cancel
from holdfast_journal import Deed, Deeds, NewFlow
from tests.cli.journals import failed, move, open_at, run


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A flow that failed long ago, one that failed now, and one that waits."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    params = Params("ws://relay", "appid", {}).to_bytes()
    new = [NewFlow(name, "provision", params) for name in ("old", "ann", "bob")]
    journal.start_flows("default", new)
    flows = {flow.name: flow for flow in journal.take()}
    for name in ("old", "ann"):
        move(flows[name], "failed", finished=True)
    with journal._database.writing() as connection:
        connection.exec_driver_sql("UPDATE holdfast_flows SET finished_at = 1 WHERE name = 'old'")
    journal.close()
    return path


def deeds(path: Path, meant: Deeds | None = None) -> list[Deed]:
    journal = open_at(path)
    found = journal.audit(meant or Deeds())
    journal.close()
    return list(found)


@pytest.mark.parametrize(
    ("words", "action", "names"),
    [
        (["retry", "ann"], "retry", ["ann"]),
        (["retry", "--status", "failed"], "retry", ["ann", "old"]),
        (["extend", "ann", "--deadline", "2d"], "extend", ["ann"]),
        (["purge", "--older-than", "9d", "--yes"], "purge", [None]),
        (["key", "rotate"], "rotate", [None]),
        (["token", "add", "shop"], "token made", [None]),
    ],
)
def test_each_command(
    database: Path, words: list[str], action: str, names: list[str | None]
) -> None:
    """It is the system's user on this host who does it; what was only looked at is not there."""
    if words[0] in ("retry", "extend"):
        assert run(database, *words, "--dry-run").exit_code in (0, 1)
        assert deeds(database) == []
    result = run(database, *words)
    assert result.exit_code in (0, 1), result.output
    found = deeds(database)
    assert sorted((each.action, each.name) for each in found) == [(action, name) for name in names]
    for each in found:
        assert each.who.startswith(pwd.getpwuid(os.getuid()).pw_name)
        assert (each.origin, each.face) == (socket.gethostname(), "command")
        assert each.action in ACTIONS


@pytest.fixture
def coded(database: Path) -> Path:
    """Bob has a code; those who failed have none that can be used."""
    journal = open_at(database)
    (bob,) = journal.take(names=["bob"])
    move(bob, "waiting", checkpoint=Checkpoint({}, {}).to_bytes(), code="7-a-b")
    journal.close()
    return database


@pytest.mark.parametrize(
    "words",
    [
        ["status", "bob"],
        ["status", "bob", "--json"],
        ["status", "--codes"],
        ["status", "--codes", "--json"],
        ["status", "--codes", "--csv", "--name", "b*"],
        ["letters", "--letters", "LETTERS"],
    ],
)
def test_codes_that_are_shown(coded: Path, words: list[str], tmp_path: Path) -> None:
    """One row for each flow whose code is seen, and none for others."""
    letters = tmp_path / "letters"
    said = [str(letters) if each == "LETTERS" else each for each in words]
    result = run(coded, *said)
    written = letters / "bob.txt"
    assert "7-a-b" in (written.read_text() if words[0] == "letters" else result.stdout)
    assert [(each.action, each.name) for each in deeds(coded)] == [("code shown", "bob")]
    if words[0] == "letters":
        run(coded, *said)  # nothing is written again, so nothing is shown
        assert len(deeds(coded)) == 1


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["status", "ann"], ["log", "bob"], ["status", "-h"]]
)
def test_codes_that_are_not_shown(coded: Path, words: list[str]) -> None:
    """Nothing is written down."""
    assert "7-a-b" not in run(coded, *words).output
    assert deeds(coded) == []


def test_starting(database: Path, tmp_path: Path) -> None:
    """Whoever is started has a row, and who was started before has none."""
    (tmp_path / "secret").write_text("s3cr3t")
    for _ in range(2):
        result = run(database, "add", "eve", "--secret-file", str(tmp_path / "secret"))
        assert result.exit_code == 0, result.output
    (found,) = deeds(database)
    assert (found.action, found.name, found.batch) == ("start", "eve", "default")
    assert "s3cr3t" not in repr(found)


def test_cancelling(database: Path) -> None:
    """Only a flow that was not over has a row."""
    journal = open_at(database)
    list(cancel(journal, journal.overview(), operator("by mistake")))
    journal.close()
    (found,) = deeds(database)
    assert (found.action, found.name, found.why) == ("cancel", "bob", "by mistake")


def test_what_is_shown(database: Path) -> None:
    """Who did what to which flow, and why: the newest first, for people and for programs."""
    assert "No operator" in run(database, "audit").stdout
    run(database, "extend", "bob", "--deadline", "2d", "--why", "she is away")
    run(database, "retry", "ann")
    shown = run(database, "audit").stdout.splitlines()
    assert [line.split()[0] for line in shown] != []
    assert shown[0].split() == ["TIME", "WHO", "FROM", "DID", "NAME", "BATCH", "WHAT"]
    assert " retry " in shown[1]
    assert "she is away" in "".join(shown[2:])
    (deed,) = json.loads(run(database, "audit", "bob", "--json").stdout)
    assert (deed["action"], deed["name"], deed["why"]) == ("extend", "bob", "she is away")
    assert deed["detail"].startswith("until 20")
    (row,) = csv.DictReader(
        run(database, "audit", "--action", "retry", "--csv").stdout.splitlines()
    )
    assert (row["name"], row["face"]) == ("ann", "command")
    limited = run(database, "audit", "--limit", "1").stdout
    assert "There are more than these 1" in limited


def test_rows_that_were_altered(database: Path) -> None:
    """Whatever somebody wrote into the table, the rest is shown."""
    journal = open_at(database)
    journal.note(operator().does("login"))
    with journal._database.writing() as connection:
        connection.exec_driver_sql("UPDATE holdfast_audit SET at = 'x', who = 7, name = x'00'")
    journal.close()
    assert run(database, "audit").exit_code == 0
    assert run(database, "audit", "--json").exit_code == 0


class TestTokens:
    def test_the_life_of_one(self, database: Path) -> None:
        """It is printed once, listed without itself, and revoked."""
        made = run(database, "token", "add", "the shop", "--role", "operator").stdout.strip()
        assert made.startswith("hf_")
        listed = run(database, "token", "list")
        assert "the shop" in listed.stdout
        assert "operator" in listed.stdout
        assert made not in listed.stdout
        (facts,) = json.loads(run(database, "token", "list", "--json").stdout)
        assert (facts["name"], facts["expires_at"]) == ("the shop", None)
        journal = open_at(database)
        assert journal.tokens.find(made) is not None
        journal.close()
        assert run(database, "token", "revoke", "the shop").exit_code == 0
        failed(run(database, "token", "revoke", "the shop"), "the shop")
        assert "revoked" in run(database, "token", "list").stdout
        assert made not in str(deeds(database))

    def test_one_that_expires(self, database: Path) -> None:
        """It has an end."""
        run(database, "token", "add", "shop", "--expires", "1d")
        (facts,) = json.loads(run(database, "token", "list", "--json").stdout)
        assert facts["expires_at"] - facts["created_at"] == pytest.approx(86400, abs=60)

    def test_a_name_is_used_once(self, database: Path) -> None:
        """Otherwise the audit would not say who it was."""
        run(database, "token", "add", "shop")
        run(database, "token", "revoke", "shop")
        failed(run(database, "token", "add", "shop"), "there is, or was, a token called 'shop'")


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container it has only a number; and who became root by sudo is named."""

    def unknown(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    assert operator().who == "user 1234"
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "ada\x1b[2J")
    assert operator().who == r"user 0 (ada\x1b[2J)"
