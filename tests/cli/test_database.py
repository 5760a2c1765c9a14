"""Opening the database: each way in which that can fail is one line."""

import sqlite3
import stat
from pathlib import Path

import pytest

from holdfast.cli import say
from holdfast.operating.addresses import default_database, sqlite_url
from holdfast.operating.database import open_journal
from holdfast_journal import DatabaseUnusable
from tests.cli.journals import failed, open_at, run, start, url


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_KEY", raising=False)
    monkeypatch.delenv("HOLDFAST_KEY_FILE", raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The path of a database with one flow."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    start(journal, "ann")
    journal.close()
    return path


def test_a_new_key_file_is_told_of_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator hears of a new key file when it is made, and not again."""
    for expected in (1, 0):
        journal = open_journal(url(tmp_path / "holdfast.db"), say.tell)
        journal.close()
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == expected
        assert (str(tmp_path / "holdfast.db.key") in said.err) == bool(expected)


def test_the_default_database_gets_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty home directory the default database can be made, for its owner alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    open_journal(default_database(), say.tell).close()
    made = tmp_path / "state/holdfast"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert (made / "holdfast.db").exists()


@pytest.mark.parametrize("name", ["a b.db", "a#b.db", "ä@b:c.db", "a&b=c.db"])
def test_a_path_means_exactly_that_file(tmp_path: Path, name: str) -> None:
    """No character of a path is taken for part of a URL."""
    path = tmp_path / name
    open_journal(sqlite_url(path), say.tell).close()
    assert path.exists()
    assert run(path, "status").exit_code == 0


def test_asking_makes_nothing(tmp_path: Path) -> None:
    """Asking after flows where there is no database says so and makes none."""
    failed(run(tmp_path / "none.db", "status"), "there is no database", "none.db yet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("db", "said"),
    [
        ("mysql://me:hunter2@host/db", "'mysql' are not served"),
        ("nonsense://me:hunter2@host/db", "not served"),
        ("://hunter2", "not a database URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_urls_that_are_not_served(tmp_path: Path, db: str, said: str) -> None:
    """A URL that no journal can live at is refused, and a password in it is not repeated."""
    result = run(tmp_path / "x.db", "status", "--db", db)
    failed(result, said)
    assert "hunter2" not in result.output


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    """A directory, a file that is no database, and a missing directory are one line each."""
    failed(run(tmp_path, "status"), str(tmp_path), "is a directory")
    other = tmp_path / "other.db"
    other.write_bytes(b"this is no database at all" * 100)
    failed(run(other, "status"), "other.db", "not a database")
    with pytest.raises(DatabaseUnusable, match="nowhere does not exist"):
        open_journal(url(tmp_path / "nowhere/holdfast.db"), say.tell)


def test_a_newer_schema(database: Path) -> None:
    """A database of a newer release is left alone, and the line says to upgrade."""
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE holdfast_version SET version_num = '9999'")
    connection.close()
    failed(run(database, "status"), "newer Holdfast")


def test_another_key(database: Path, tmp_path: Path) -> None:
    """A wrong key, a malformed key and a missing key file are one line that names the variable."""
    failed(run(database, "status", HOLDFAST_KEY="ab" * 32), "HOLDFAST_KEY")
    failed(run(database, "status", HOLDFAST_KEY="hunter2"), "HOLDFAST_KEY")
    failed(run(database, "status", HOLDFAST_KEY_FILE=str(tmp_path / "no.key")), "no.key")
    (tmp_path / "holdfast.db.key").unlink()
    failed(run(database, "status"), "HOLDFAST_KEY_FILE")
