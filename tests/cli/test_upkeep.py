"""``holdfast key``, ``db`` and ``purge``: what an operator does, and what each says."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast_journal import KeyRing
from tests.cli.journals import failed, move, open_at, run, start
from tests.journal.recordings import RECORDINGS, Recording

HEX = "ab" * 32
ID = KeyRing.parse(HEX, "test").ids[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database in which ann waits, bob is done and cleo failed."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    flows = start(journal, "ann", "bob", "cleo")
    move(flows["ann"], "waiting", code="1-ann-code")
    move(flows["bob"], "done", finished=True, shred=True)
    move(flows["cleo"], "failed", finished=True, reason="no luck")
    journal.close()
    return path


def key_of(path: Path) -> Path:
    return path.with_name(path.name + ".key")


class TestKey:
    def test_changing_the_key(self, path: Path) -> None:
        """new, list, rotate, and the old line removed: each says what was done and what is next."""
        old = KeyRing.parse(key_of(path).read_text(), "test").ids[0]
        made = run(path, "key", "new")
        assert made.exit_code == 0, made.output
        new = re.findall(r"The key (\w{8}) is the first", made.stdout)[0]
        assert "'holdfast key rotate'" in made.stdout
        listed = run(path, "key", "list").stdout
        assert re.search(rf"{new} +0  line 2 of .*, seals new flows\n{old} +2  line 3 of", listed)
        rotated = run(path, "key", "rotate")
        assert f"2 flows were sealed again; the key {new} seals all of them." in rotated.stdout
        assert f"The key {old}, line 3 of {key_of(path)}, may be removed" in rotated.stdout
        assert "backups from before" in rotated.stdout
        lines = key_of(path).read_text().splitlines(keepends=True)
        key_of(path).write_text("".join(lines[:2]))
        assert f"{new}      2  line 2" in run(path, "key", "list").stdout
        assert "1-ann-code" in run(path, "status", "--codes").stdout
        again = run(path, "key", "rotate")
        assert again.stdout == f"0 flows were sealed again; the key {new} seals all of them.\n"
        for result in (made, rotated, again):
            assert not re.search("[0-9a-f]{64}", result.output)

    def test_for_the_environment(self, path: Path) -> None:
        """--print prints a key and changes nothing; in HOLDFAST_KEY there is no file to change."""
        before = key_of(path).read_text()
        printed = run(path, "key", "new", "--print")
        assert re.fullmatch("[0-9a-f]{64}\n", printed.stdout)
        assert run(path, "key", "new", "--print").stdout != printed.stdout
        assert key_of(path).read_text() == before
        failed(run(path, "key", "new", HOLDFAST_KEY=HEX), "HOLDFAST_KEY", "--print")
        old = before.split()[-1]
        both = f"{HEX} {old}"
        rotated = run(path, "key", "rotate", HOLDFAST_KEY=both)
        assert f"the key {ID} seals all of them" in rotated.stdout
        assert "may be taken out of HOLDFAST_KEY" in rotated.stdout
        assert run(path, "status", HOLDFAST_KEY=HEX).exit_code == 0
        failed(run(path, "status"), ID)

    def test_a_key_that_is_missing(self, path: Path) -> None:
        """`list` tells which key is missing and what it seals, with status 1; `rotate` refuses."""
        listed = run(path, "key", "list", HOLDFAST_KEY=HEX)
        assert listed.exit_code == 1
        assert re.search(
            rf"{ID} +0  HOLDFAST_KEY, seals new flows\n\w{{8}} +2  missing\n", listed.stdout
        )
        failed(run(path, "key", "rotate", HOLDFAST_KEY=HEX), "another master key")
        key_of(path).unlink()
        failed(run(path, "key", "new"), "there is no key file")
        failed(run(path, "key", "list"), "cannot be read")

    def test_a_key_file_elsewhere(self, path: Path, tmp_path: Path) -> None:
        """HOLDFAST_KEY_FILE names the file that gets the new key."""
        keys = shutil.move(key_of(path), tmp_path / "keys")
        made = run(path, "key", "new", HOLDFAST_KEY_FILE=str(keys))
        assert f"the first in {keys} now" in made.stdout
        assert "seals all" in run(path, "key", "rotate", HOLDFAST_KEY_FILE=str(keys)).stdout


class TestDb:
    def test_check(self, path: Path) -> None:
        """Which database, which revision, whose key, and whether it is whole; then status 0."""
        found = run(path, "db", "check")
        assert found.exit_code == 0
        for each in (f"sqlite:///{path}", "which this Holdfast works with", "is here", "whole"):
            assert each in found.stdout

    def test_check_finds(self, path: Path, tmp_path: Path) -> None:
        """Whatever is wrong is told, with status 1; no database is made."""
        wrong = run(path, "db", "check", HOLDFAST_KEY=HEX)
        assert wrong.exit_code == 1
        assert "another master key" in wrong.stdout
        (tmp_path / "text").write_text("this is no database, whatever it is called" * 100)
        other = run(tmp_path / "text", "db", "check")
        assert (other.exit_code, other.stderr.count("\n")) == (1, 1)
        failed(run(tmp_path / "nothing.db", "db", "check"), "there is no database")
        assert not (tmp_path / "nothing.db").exists()

    def test_upgrade(self, path: Path, tmp_path: Path) -> None:
        """An older file is upgraded, by this command or any other, and the copy is told of."""
        assert run(path, "db", "upgrade").stdout.endswith("was up to date already.\n")
        for words in (("db", "upgrade"), ("purge", "--older-than", "9d", "--yes")):
            folder = tmp_path / words[0]
            folder.mkdir()
            Recording(RECORDINGS[0]).copy(folder)
            old = folder / "journal.sqlite"
            before = run(old, "db", "check")
            assert before.exit_code == 1
            assert "run 'holdfast db upgrade'" in before.stdout
            failed(run(old, "status"), "run 'holdfast db upgrade")  # who looks changes nothing
            done = run(old, *words)
            assert done.exit_code == 0
            assert re.search(r"upgraded the database; \S+\.0001-\S+\.copy is a copy", done.stderr)
            assert done.stderr.count("\n") == 1
            assert run(old, "db", "check").exit_code == 0


TOLD_NOBODY = """
INSERT INTO holdfast_tasks (flow_id, number, name, arguments, key, due_at, attempts, error)
SELECT id, -1, 'webhook-collected', 'sealed', 'key', 0, 4, '' FROM holdfast_flows
WHERE finished_at IS NOT NULL ORDER BY id LIMIT 1
"""


class TestPurge:
    def test_purge(self, path: Path) -> None:
        """It says what there is, asks, deletes, and says what it did; names stay unless asked."""
        assert run(path, "purge", "--older-than", "1d").stdout == "There is nothing to purge.\n"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE holdfast_flows SET finished_at = finished_at - 200000")
            connection.execute(TOLD_NOBODY)
            connection.commit()
        looked = run(path, "purge", "--older-than", "1d", "--dry-run")
        what = "2 flows: 1 done, 1 failed; 2 journal entries; 1 message that no hook was told"
        assert looked.stdout == f"There is this to purge: {what}.\n"
        failed(run(path, "purge", "--older-than", "1d"), "--yes", "--dry-run")
        assert run(path, "log", "bob", "--wire").stdout.startswith("NO")
        done = run(path, "purge", "--older-than", "1d", "--yes")
        assert done.stdout == f"Purged: {what}.\n"
        assert run(path, "log", "bob").stdout == "Its journal was purged.\n"
        assert "3 flows: 1 done, 1 failed, 1 waiting" in run(path, "status").stdout
        failed(run(path, "retry", "cleo"), "purged")
        gone = run(path, "purge", "--older-than", "1d", "--yes", "--names")
        assert "the same people file would start them again" in gone.stdout
        assert "1 flow" in run(path, "status").stdout
