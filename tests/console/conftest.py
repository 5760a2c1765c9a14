"""A console over a journal with some flows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_journal import SqlJournal
from tests.cli.journals import move, start
from tests.console.browser import Browser
from tests.journal.conftest import folder as folder

MARKUP = "<script>alert(1)</script>"
KEY = {"HOLDFAST_KEY": "ab" * 32}
NAMES = ("ann", "bob", "cleo", "dan", MARKUP)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows that wait with a code, failed, went well, or are new."""
    path = tmp_path_factory.mktemp("console") / "holdfast.db"
    journal = SqlJournal.open_inline(path, environ=KEY)
    flows = start(journal, *NAMES)
    move(flows["ann"], "waiting", code="7-guitar-revenge")
    move(flows["bob"], "failed", finished=True, reason="the server said no")
    move(flows["cleo"], "done", finished=True, shred=True)
    journal.close()
    return path


@pytest.fixture
def journal(made: Path, folder: Path) -> Iterator[SqlJournal]:
    """A copy of them."""
    shutil.copy(made, folder)
    journal = SqlJournal.open_inline(folder / made.name, environ=KEY)
    yield journal
    journal.close()


@pytest.fixture
def browser(journal: SqlJournal) -> Browser:
    return Browser(journal)
