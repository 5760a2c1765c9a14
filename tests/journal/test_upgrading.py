"""Upgrading an SQLite file: after a copy, and whole or not at all."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast_journal import DatabaseUnusable, WrongKey
from holdfast_journal.doctor.health import check
from holdfast_journal.store import copies
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS
from holdfast_journal.store.upgrading import downgrade, revision, schema_state, upgrade
from holdfast_journal.upkeep import opening
from tests.journal.conftest import Journals
from tests.journal.helpers import run
from tests.journal.recordings import ENVIRON, WANTED, Recording

pytestmark = pytest.mark.usefixtures("the_migrations_themselves")

OLD = Recording("0001")


class Killed(BaseException):
    """The process is gone."""


def dies(*_: object, **__: object) -> None:
    raise Killed


def statuses(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT name, status FROM holdfast_flows"))


class TestTheCopy:
    def test_it_is_private_and_never_takes_anothers_place(
        self, folder: Path, journals: Journals
    ) -> None:
        """The copy is named by revision and date, for its owner only, and whole."""
        url = OLD.copy(folder)
        (folder / "journal.sqlite.0001-20010909-014640.copy").write_text("mine")
        before = os.umask(0)
        try:
            journal = journals.open(url, keys=None, clock=lambda: 1e9)
        finally:
            os.umask(before)
        copy = folder / "journal.sqlite.0001-20010909-014640.copy-2"
        assert journal.kept_copy == copy
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert (folder / "journal.sqlite.0001-20010909-014640.copy").read_text() == "mine"
        assert statuses(copy) == WANTED
        assert not list(folder.glob("*.part"))
        assert journals.open(url, keys=None).kept_copy is None

    def test_it_cannot_be_made(
        self, folder: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a copy there is no upgrade: one line says why, and nothing is changed."""
        url = OLD.copy(folder)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "link", full)
        with pytest.raises(DatabaseUnusable, match=r"No space left.*nothing was changed"):
            journals.open(url, keys=None)
        monkeypatch.undo()
        database = Database.open(url)
        assert revision(database) == "0001"
        database.close()
        assert journals.open(url, keys=None).kept_copy is not None

    def test_the_wrong_key(self, folder: Path, journals: Journals) -> None:
        """A database that cannot be opened is not upgraded, and not copied."""
        url = OLD.copy(folder)
        with pytest.raises(WrongKey):
            journals.open(url, keys=None, environ={"HOLDFAST_KEY": "ab" * 32})
        assert {path.name for path in folder.iterdir()} <= {
            *("journal.sqlite", "journal.sqlite.key", "journal.sqlite-wal", "journal.sqlite-shm")
        }
        database = Database.open(url)
        assert schema_state(database) == "older"
        database.close()


MOMENTS: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "before the copy": lambda patch: patch.setattr(opening, "keep_copy", dies),
    "a part of the copy": lambda patch: patch.setattr(copies, "_sync", dies),
    "the copy has no name": lambda patch: patch.setattr(copies, "_link", dies),
    "the copy has its name": lambda patch: patch.setattr(copies, "sync_directory", dies),
    "before the migration": lambda patch: patch.setattr(opening, "migrate", dies),
    "before the commit": lambda patch: patch.setattr(opening, "note_key", dies),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(
    moment: str, folder: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment, the database is what it was, and the next one upgrades it."""
    url = OLD.copy(folder)
    MOMENTS[moment](monkeypatch)
    with pytest.raises(Killed):
        journals.open(url, keys=None)
    monkeypatch.undo()
    database = Database.open(url)
    assert revision(database) == "0001"
    database.close()
    journal = journals.open(url, keys=None)
    assert journal.kept_copy is not None
    assert statuses(journal.kept_copy) == WANTED
    assert {row.name: row.status for row in journal.overview()} == WANTED
    assert not list(folder.glob("*.part"))


def test_killed_for_good(folder: Path, journals: Journals) -> None:
    """A process that dies by SIGKILL in the middle of it leaves a database that can be used."""
    url = OLD.copy(folder)
    program = (
        "import os, sys; from holdfast_journal import SqlJournal\n"
        "from holdfast_journal.upkeep import opening\n"
        "opening.note_key = lambda *_: os.kill(os.getpid(), 9)\n"
        "SqlJournal.open_inline(sys.argv[1], environ={})"
    )
    child = subprocess.run([sys.executable, "-c", program, url], check=False)
    assert child.returncode == -signal.SIGKILL
    journal = journals.open(url, keys=None)
    assert {row.name: row.status for row in journal.overview()} == WANTED
    assert len(list(folder.glob("*.copy*"))) == 2


def test_every_migration_with_data(url: str, journals: Journals) -> None:
    """Down to each revision and up again, step by step, flows are what they were."""
    journal = journals.open(url)
    ada, bob = run(journal, "ada", "bob")
    ada.event()
    bob.status, bob.finished, bob.shred = "done", True, True
    bob.event()
    journal.give_back()
    before = journal.overview()
    database = Database.open(url)
    for name in reversed(REVISIONS[:-1]):
        downgrade(database, name)
        assert revision(database) == name
    assert upgrade(database)
    database.close()
    assert journal.overview() == before
    assert [(flow.name, flow.checkpoint) for flow in journal.take()] == [("ada", b"after 1")]


class TestCheck:
    def test_a_good_one(self, url: str, journals: Journals) -> None:
        """A database that can be used is called so."""
        journal = journals.open(url)
        run(journal, "ada")
        key = journals.keys._keys[0].hex()
        found = check(url, {"HOLDFAST_KEY": key})
        assert found.good
        assert (found.revision, found.keys) == (REVISIONS[-1], journals.keys.ids)
        assert "hunter2" not in found.database

    def test_an_older_one(self, folder: Path) -> None:
        """An older one is told as it is, and left so."""
        url = OLD.copy(folder)
        for _ in range(2):
            found = check(url, {})
            assert (found.state, found.revision, found.key_trouble) == ("older", "0001", None)
            assert not found.good

    def test_the_wrong_key(self, url: str, journals: Journals) -> None:
        """A key that does not open it is told."""
        run(journals.open(url), "ada")
        assert "another master key" in str(check(url, ENVIRON).key_trouble)

    def test_a_damaged_file(self, folder: Path) -> None:
        """A file of which a page is lost is not called whole."""
        url = OLD.copy(folder)
        path = folder / "journal.sqlite"
        content = bytearray(path.read_bytes())
        content[-4096:] = bytes(4096)
        path.write_bytes(content)
        found = check(url, {})
        assert found.damage
        assert not found.good

    def test_no_key_is_made(self, url: str, folder: Path) -> None:
        """Looking at an empty database makes nothing."""
        before = set(folder.iterdir())
        assert "missing" in str(check(url, {}).key_trouble) or "needs" in str(
            check(url, {}).key_trouble
        )
        assert {path for path in set(folder.iterdir()) - before if ".key" in path.name} == set()
