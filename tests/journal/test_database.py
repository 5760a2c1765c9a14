"""Databases that cannot be used: one clear line each, and no password in it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast_journal
from holdfast_journal import DatabaseUnusable, SqlJournal, WrongKey
from tests.journal.conftest import Journals
from tests.journal.helpers import run
from tests.journal.postgres import Server


class TestUnusable:
    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("", "neither a database URL nor the path"),
            (" ", "neither a database URL nor the path"),
            ("sqlite:/journal.db", "neither a database URL nor the path"),
            ("postgresql+psycopg:me@host", "neither a database URL nor the path"),
            ("what?.db", "question mark"),
            ("100%.db", "percent sign"),
            ("~nobody-of-this-name/x.db", "no such home directory"),
            ("jour\0nal.db", "NUL"),
            ("postgresql://me:hunter2@host:port/x", "not a database URL"),
            ("mysql://me:hunter2@host/x", "'mysql' are not served"),
            ("sqlite+aiosqlite:///x.db", "are not served"),
            ("sqlite:///file:x.db?uri=true", "are not served"),
            ("postgresql://me:hunter2@/x?host=/nowhere", "cannot be used: .*connection"),
            ("postgresql://me:hunter2@127.0.0.1:1/x", "cannot be used: .*connection"),
        ],
    )
    def test_urls(self, journals: Journals, url: str, says: str) -> None:
        """A URL that is none, or leads nowhere, is one line without its password."""
        with pytest.raises(DatabaseUnusable, match=says) as caught:
            journals.open(url)
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_an_unknown_database(self, postgres: Server, journals: Journals) -> None:
        """A server that has no such database says so."""
        url = f"postgresql://holdfast:hunter2@/nothing?host={postgres.folder}"
        with pytest.raises(DatabaseUnusable, match='"nothing" does not exist') as caught:
            journals.open(url)
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_postgresql_needs_a_key(self, postgres: Server, upgraded: str) -> None:
        """Without a key a PostgreSQL journal says how to give it one."""
        with pytest.raises(WrongKey, match="HOLDFAST_KEY_FILE"):
            SqlJournal.open_inline(postgres.database(upgraded), environ={})

    def test_a_missing_directory(self, tmp_path: Path, journals: Journals) -> None:
        """A missing directory is an error, unless it may be made."""
        url = f"sqlite:///{tmp_path}/a/b/journal.db"
        with pytest.raises(DatabaseUnusable, match="a/b does not exist"):
            journals.open(url)
        assert not (tmp_path / "a").exists()
        journals.open(url, make_parents=True)
        assert (tmp_path / "a" / "b" / "journal.db").exists()
        assert [(tmp_path / each).stat().st_mode & 0o777 for each in ("a", "a/b")] == [0o700] * 2

    def test_a_directory_that_cannot_be_written(self, journals: Journals) -> None:
        """Where nobody can write, root included, the system's reason is told."""
        with pytest.raises(DatabaseUnusable, match=r"/proc/journal\.db cannot be used"):
            journals.open("sqlite:////proc/journal.db")

    def test_a_directory_in_its_place(self, tmp_path: Path, journals: Journals) -> None:
        """A directory is not a database."""
        with pytest.raises(DatabaseUnusable, match="is a directory"):
            journals.open(f"sqlite:///{tmp_path}")

    def test_a_file_in_the_directorys_place(self, tmp_path: Path, journals: Journals) -> None:
        """A path that goes through a file is told."""
        (tmp_path / "file").write_text("")
        with pytest.raises(DatabaseUnusable, match="Not a directory"):
            journals.open(f"sqlite:///{tmp_path}/file/journal.db")

    def test_not_a_database(self, tmp_path: Path, journals: Journals) -> None:
        """Some other file is refused, and left as it is."""
        path = tmp_path / "letter.txt"
        path.write_text("Dear Ada, " * 200)
        with pytest.raises(DatabaseUnusable, match="file is not a database"):
            journals.open(f"sqlite:///{path}")
        assert path.read_text() == "Dear Ada, " * 200


class TestSqlite:
    def test_how_it_is_opened(self, tmp_path: Path, journals: Journals) -> None:
        """The file is in WAL mode and passes SQLite's own check."""
        journal = journals.open(f"sqlite:///{tmp_path}/journal.db")
        run(journal, "ada")[0].event()
        connection = sqlite3.connect(tmp_path / "journal.db")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()


class TestImports:
    @pytest.mark.parametrize(
        ("statement", "unwanted"),
        [
            (
                "from holdfast_journal import ImmediateJournal, Journal, IJournal",
                {"sqlalchemy", "twisted", "nacl", "alembic"},
            ),
            ("from holdfast_journal import *", {"alembic"}),
        ],
    )
    def test_what_is_not_imported(self, statement: str, unwanted: set[str]) -> None:
        """What a caller does not need is not loaded."""
        program = f"{statement}\nimport sys\nsys.exit(bool({unwanted!r} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

    def test_a_current_database_needs_no_alembic(self, tmp_path: Path, journals: Journals) -> None:
        """Opening a file that is up to date loads neither alembic nor the other dialect."""
        url = f"sqlite:///{tmp_path}/journal.db"
        journals.open(url, keys=None)
        program = (
            "import sys; from holdfast_journal import SqlJournal\n"
            "SqlJournal.open_inline(sys.argv[1], environ={}).overview()\n"
            "sys.exit(bool({'alembic', 'sqlalchemy.dialects.postgresql'} & set(sys.modules)))"
        )
        command = [sys.executable, "-c", program, url]
        assert subprocess.run(command, check=False).returncode == 0

    def test_every_public_name_is_there(self) -> None:
        """__all__ tells the truth, and nothing else is made up."""
        for name in holdfast_journal.__all__:
            assert getattr(holdfast_journal, name) is not None
        assert set(dir(holdfast_journal)) == set(holdfast_journal.__all__)
        with pytest.raises(AttributeError, match="nonsense"):
            holdfast_journal.nonsense  # noqa: B018
