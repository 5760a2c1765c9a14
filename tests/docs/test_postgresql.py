"""The manual's page on PostgreSQL, pasted: roles, grants, a start, a backup, a restore."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import DOCS
from tests.docs.pasting import Shell, blocks
from tests.journal.postgres import Server, find_server, server

PAGE = {
    name: text.replace("@db.example.com", "@")
    for name, text in blocks((DOCS / "how-to/postgresql.md").read_text()).items()
}
PROGRAMS = find_server()

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        PROGRAMS is None or shutil.which("psql") is None, reason="PostgreSQL is not installed"
    ),
]


@pytest.fixture
def postgres() -> Iterator[Server]:
    """A server of its own, since roles belong to a whole server."""
    assert PROGRAMS is not None
    with server(PROGRAMS) as running:
        yield running


def test_the_page_does_what_it_says(postgres: Server, tmp_path: Path) -> None:
    """The worker may write, the reader may not, and a restored database has all of that."""
    here = Shell(tmp_path, {"PGHOST": str(postgres.folder), "PGUSER": "holdfast"})

    def sql(name: str, database: str) -> None:
        (tmp_path / "sql").write_text(PAGE[name])
        here.paste(f"psql -q -v ON_ERROR_STOP=1 -d {database} -f sql")

    sql("roles", "postgres")
    sql("grants", "holdfast")
    here.paste(PAGE["key"] + PAGE["tables"])
    assert "0006" in here.paste(PAGE["first"])
    reader = "postgresql://holdfast_reader@/holdfast"
    here.paste("holdfast add ada --secret-file holdfast.key --relay ws://127.0.0.1:1/v1")
    assert "1 new" in here.paste(f"holdfast status --db {reader}")
    with pytest.raises(AssertionError, match="permission denied for table"):
        here.paste(f"holdfast cancel ada --db {reader}")
    here.paste(PAGE["backup"] + PAGE["restore"])
    sql("again", "holdfast")
    assert "1 flow: no problems" in here.paste(PAGE["look"])
    here.paste("holdfast cancel ada")
    assert "1 cancelled" in here.paste(f"holdfast status --db {reader}")
