"""PostgreSQL servers that are not as a journal needs them: one line each, nothing changed."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from holdfast_journal import DatabaseUnusable, KeyRing, OlderSchema, SqlJournal
from tests.harness.waiting import until
from tests.journal.helpers import run, start
from tests.journal.postgres import Server

KEYS = KeyRing.parse("ab" * 32, "a test")


def admin(postgres: Server, url: str, *statements: str) -> None:
    """Run statements as the owner of the server, outside of any transaction."""
    name = make_url(url).database
    engine = create_engine(
        f"postgresql+psycopg://holdfast@/{name}?host={postgres.folder}",
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        for each in statements:
            connection.execute(text(each))


def as_role(postgres: Server, url: str, role: str, *grants: str) -> str:
    """Make a role that may connect, and what `grants` say; the URL for it."""
    admin(postgres, url, f"DROP ROLE IF EXISTS {role}", f"CREATE ROLE {role} LOGIN", *grants)
    return url.replace("holdfast:hunter2@", f"{role}:hunter2@")


def refused(url: str, says: str, *, looks: bool = False) -> None:
    """Check that the journal is refused in one line that tells no password."""
    with pytest.raises(DatabaseUnusable, match=says) as caught:
        (SqlJournal.look if looks else SqlJournal.open_inline)(url, keys=KEYS, environ={}).close()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def url(postgres: Server, upgraded: str) -> str:
    return postgres.database(upgraded)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_encodings(postgres: Server, encoding: str) -> None:
    """A database that cannot hold every name is refused, with the remedy."""
    url = postgres.database()
    name = f"other_{encoding.lower()}"
    admin(
        postgres,
        url,
        f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0",
    )
    other = f"postgresql://holdfast:hunter2@/{name}?host={postgres.folder}"
    for looks in (False, True):
        refused(other, f"its encoding is {encoding}.*createdb --encoding=UTF8", looks=looks)


def test_a_role_that_may_make_nothing(postgres: Server) -> None:
    """An empty database needs a role that may make tables; the server's reason is told."""
    url = as_role(postgres, postgres.database(), "poor")
    refused(url, "permission denied for schema public; grant the role what it lacks")


def test_a_role_that_may_only_read(postgres: Server, url: str) -> None:
    """It can look, and whatever else it tries is one line."""
    journal = SqlJournal.open_inline(url, keys=KEYS, environ={})
    start(journal, "ada")
    journal.close()
    reader = as_role(
        postgres, url, "reader", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"
    )
    looking = SqlJournal.look(reader, keys=KEYS, environ={})
    assert [each.name for each in looking.overview()] == ["ada"]
    assert looking.checks.database() == []
    looking.close()
    writing = SqlJournal.open_inline(reader, keys=KEYS, environ={})
    for call in (lambda: start(writing, "bob"), lambda: run(writing, "ada")):
        with pytest.raises(DatabaseUnusable, match=r"permission denied.*grant the role") as caught:
            call()
        assert "\n" not in str(caught.value)
    writing.close()


def test_a_table_that_may_not_be_read(postgres: Server, url: str) -> None:
    """Also where it lacks the right to a single table."""
    role = as_role(
        postgres,
        url,
        "partly",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO partly",
        "REVOKE ALL ON holdfast_flows FROM partly",
    )
    looking = SqlJournal.look(role, keys=KEYS, environ={})
    with pytest.raises(DatabaseUnusable, match="permission denied for table holdfast_flows"):
        looking.overview()
    looking.close()


def test_a_read_only_server(postgres: Server, url: str) -> None:
    """Whoever writes is refused at once; whoever looks is served."""
    role = as_role(
        postgres,
        url,
        "standing",
        "ALTER ROLE standing SET default_transaction_read_only = on",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO standing",
    )
    refused(role, "its transactions are read-only, and this command writes; connect to the primary")
    looking = SqlJournal.look(role, keys=KEYS, environ={})
    assert looking.overview() == []
    looking.close()


def test_no_schema(postgres: Server, url: str) -> None:
    """A search_path that leads nowhere is told."""
    role = as_role(postgres, url, "lost", "ALTER ROLE lost SET search_path = nowhere")
    refused(role, "search_path")


def test_a_missing_table(postgres: Server, url: str) -> None:
    """A table that somebody dropped is one line."""
    journal = SqlJournal.open_inline(url, keys=KEYS, environ={})
    admin(postgres, url, "DROP TABLE holdfast_tasks", "ALTER TABLE holdfast_flows RENAME TO gone")
    with pytest.raises(DatabaseUnusable, match=r"does not exist.*restore a backup"):
        journal.overview()
    journal.close()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE holdfast_flows ADD COLUMN extra int NOT NULL",
        "ALTER TABLE holdfast_batches ALTER COLUMN created_at TYPE boolean USING true",
    ],
)
def test_tables_that_somebody_changed(postgres: Server, url: str, change: str) -> None:
    """What the server does not take any more is one line, without a value of a flow's."""
    journal = SqlJournal.open_inline(url, keys=KEYS, environ={})
    admin(postgres, url, change)
    with pytest.raises(DatabaseUnusable, match="is it as Holdfast made it") as caught:
        start(journal, "ada")
    assert "\n" not in str(caught.value)
    assert "params of" not in str(caught.value)
    journal.close()


def test_an_option_that_nobody_knows(url: str) -> None:
    """An option of the URL that the driver does not know is one line without the password."""
    refused(f"{url}&nonsense=1", "nonsense")


@pytest.mark.parametrize(
    "kind", ["TABLE holdfast_flows (id int)", "VIEW holdfast_flows AS SELECT 1"]
)
def test_somebody_elses_names(postgres: Server, kind: str) -> None:
    """A table or view of our name, without our version, belongs to another program."""
    url = postgres.database()
    admin(postgres, url, f"CREATE {kind}")
    refused(url, "belongs to another program: it has tables named holdfast_flows")


def test_somebody_elses_migrations(postgres: Server) -> None:
    """Another application's table of Alembic is in nobody's way."""
    url = postgres.database()
    admin(postgres, url, "CREATE TABLE alembic_version (version_num text)")
    journal = SqlJournal.open_inline(url, keys=KEYS, environ={})
    start(journal, "ada")
    journal.close()


def test_an_empty_database_is_looked_at(postgres: Server) -> None:
    """Who looks makes no tables."""
    url = postgres.database()
    with pytest.raises(OlderSchema, match="nothing is in the database"):
        SqlJournal.look(url, keys=KEYS, environ={})
    with pytest.raises(OlderSchema, match="nothing is in the database"):
        SqlJournal.look(url, keys=KEYS, environ={})


class TestPooler:
    @pytest.fixture(params=["transaction", "session"])
    def pooled(self, request: pytest.FixtureRequest, postgres: Server, url: str) -> Iterator[str]:
        """A database behind PgBouncer in one of its modes."""
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("pgbouncer is not installed (a Debian package)")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        name = make_url(url).database
        folder = Path(postgres.folder) / f"bouncer-{request.param}"
        folder.mkdir(exist_ok=True)
        (folder / "ini").write_text(
            f"[databases]\nhf = host={postgres.folder} dbname={name} user=holdfast\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
            f"pool_mode = {request.param}\nunix_socket_dir =\n"
        )
        bouncer = subprocess.Popen(
            [program, "-q", folder / "ini"],
            user=postgres.user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: _listens(port), "pgbouncer")
            yield f"postgresql://holdfast:hunter2@127.0.0.1:{port}/hf?{request.param}"
        finally:
            bouncer.kill()
            bouncer.wait()

    def test_a_pooler(self, pooled: str, url: str) -> None:
        """Where a transaction may have any connection a journal is refused; sessions are served."""
        where, _, mode = pooled.partition("?")
        if mode == "transaction":
            for looks in (False, True):
                refused(where, "pool_mode=transaction.*connect to PostgreSQL itself", looks=looks)
            direct = SqlJournal.open_inline(url, keys=KEYS, environ={})
            assert direct.workers() == []
            direct.close()
            return
        journal = SqlJournal.open_inline(where, keys=KEYS, environ={})
        run(journal, "ada")
        assert [each.owner_alive for each in journal.overview()] == [True]
        journal.close()


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
