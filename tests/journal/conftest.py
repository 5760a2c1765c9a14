"""Databases of both kinds, and journals that are closed again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from holdfast_journal import KeyRing, SqlJournal
from holdfast_journal.database import Database
from holdfast_journal.upgrading import upgrade
from tests.journal.postgres import Server, find_server, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    programs = find_server()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed in /usr/lib/postgresql")
    with server(programs) as running:
        yield running


@pytest.fixture(scope="session")
def upgraded(postgres: Server) -> str:
    """The name of a PostgreSQL database with the current schema, to be copied."""
    url = postgres.database()
    database = Database.open(url)
    upgrade(database)
    database.close()
    return str(database.engine.url.database)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind, without tables of ours if it is SQLite."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    running: Server = request.getfixturevalue("postgres")
    return running.database(request.getfixturevalue("upgraded"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    running: Server = request.getfixturevalue("postgres")
    return running.database()


@define
class Journals:
    """Opens journals under one master key and closes them at the end of the test."""

    keys: KeyRing = field(factory=KeyRing.random)
    opened: list[SqlJournal] = field(factory=list)

    def open(self, url: str, **options: Any) -> SqlJournal:
        journal = SqlJournal.open(url, **{"keys": self.keys, "environ": {}, **options})
        self.opened.append(journal)
        return journal


@pytest.fixture
def journals() -> Iterator[Journals]:
    made = Journals()
    yield made
    for journal in made.opened:
        journal.close()
