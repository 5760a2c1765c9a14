"""Databases of both kinds, and journals that are closed again."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from holdfast_journal import KeyRing, SqlJournal
from holdfast_journal.store import upgrading
from holdfast_journal.store.database import Database
from holdfast_journal.store.upgrading import upgrade
from tests.harness import migrated
from tests.journal.postgres import Server, find_server, memory, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    programs = find_server()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed in /usr/lib/postgresql")
    with server(programs) as running:
        yield running


@pytest.fixture
def the_migrations_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every database be made by the migrations: the others may be made as `migrated` does."""
    monkeypatch.setattr(upgrading, "migrate", migrated.migrate)


@pytest.fixture(scope="session")
def upgraded(postgres: Server) -> str:
    """The name of a PostgreSQL database with the current schema, to be copied."""
    url = postgres.database()
    database = Database.open(url)
    upgrade(database)
    database.close()
    return str(database.engine.url.database)


@pytest.fixture(scope="session")
def upgraded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the current schema, to be copied."""
    path = tmp_path_factory.mktemp("upgraded") / "journal.db"
    database = Database.open(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where that is possible."""
    if (where := memory()) is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """A database of each kind, with the current schema: upgrading each would take longer."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("upgraded_file"), folder / "journal.db")
        return f"sqlite:///{folder}/journal.db"
    running: Server = request.getfixturevalue("postgres")
    return running.database(request.getfixturevalue("upgraded"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{folder}/journal.db"
    running: Server = request.getfixturevalue("postgres")
    return running.database()


@define
class Journals:
    """Opens journals under one master key and closes them at the end of the test."""

    keys: KeyRing = field(factory=KeyRing.random)
    opened: list[SqlJournal] = field(factory=list)

    def open(self, url: str, **options: Any) -> SqlJournal:
        given = {"keys": self.keys, "environ": {}, **options}
        if given.pop("looks", False):
            journal = SqlJournal.look(url, **given)
        else:
            threads = given.get("reactor") is not None
            given = given if threads else {k: v for k, v in given.items() if k != "reactor"}
            journal = (SqlJournal.open if threads else SqlJournal.open_inline)(url, **given)
        self.opened.append(journal)
        return journal


@pytest.fixture
def journals() -> Iterator[Journals]:
    made = Journals()
    yield made
    for journal in made.opened:
        journal.close()
