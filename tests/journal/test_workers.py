"""Who is alive: told at once, by the operating system, even after kill -9."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from holdfast_journal import KeyRing
from holdfast_journal.store.database import Database
from tests.harness.process import Child
from tests.journal.conftest import Journals
from tests.journal.helpers import ManualReactor, Runner, run, start
from tests.journal.postgres import Server

KEY = "ab" * 32
CHILD = """
import sys
from holdfast_journal import KeyRing, SqlJournal
journal = SqlJournal.open_inline(sys.argv[1], keys=KeyRing.parse(sys.argv[2], "test"))
taken = journal.take()
print(journal.worker, *[flow.name for flow in taken], flush=True)
sys.stdin.read()
"""


@contextmanager
def child(url: str) -> Iterator[tuple[Child, list[str]]]:
    """Another process that takes what is free; gives what it said: its id, then the names."""
    with Child([sys.executable, "-c", CHILD, url, KEY], stdin=subprocess.PIPE) as process:
        yield process, process.wait_for(r"^\d+.*$")[0].split()


@pytest.fixture
def keyed(journals: Journals) -> Journals:
    journals.keys = KeyRing.parse(KEY, "test")
    return journals


class TestLiveness:
    def test_a_killed_worker(self, url: str, keyed: Journals) -> None:
        """What a living worker owns is not free; once it is killed, it is, at once."""
        journal = keyed.open(url)
        start(journal, "ada", "bob")
        with child(url) as (process, said):
            assert said[1:] == ["ada", "bob"]
            assert journal.take() == []
            assert [row.owner_alive for row in journal.overview()] == [True, True]
            assert {row.owner_pid for row in journal.overview()} == {process.pid}
            assert [worker.alive for worker in journal.workers()] == [True, True]
            process.kill9()
            # The server notices when it reads the closed socket, which takes it a moment.
            taken = journal.take()
            while not taken:
                taken = journal.take()
        assert [flow.name for flow in taken] == ["ada", "bob"]
        assert [flow.epoch for flow in taken] == [2, 2]
        workers = {worker.id: worker.alive for worker in journal.workers()}
        assert workers[int(said[0])] is False

    def test_looking_does_not_disturb(self, url: str, keyed: Journals) -> None:
        """Other processes and other journals of this process look, come and go; we stay alive."""
        journal, other = keyed.open(url), keyed.open(url)
        run(journal, "ada")
        start(other, "bob")
        assert [flow.name for flow in other.take()] == ["bob"]
        other.close()
        third = keyed.open(url)
        third.overview()
        third.close()
        with child(url) as (_, said):
            # Bob's owner closed its journal; ada's is alive.
            assert said[1:] == ["bob"]

    def test_a_closed_journal_is_dead(self, url: str, keyed: Journals) -> None:
        """close() frees what was not given back, within the same process too."""
        journal, other = keyed.open(url), keyed.open(url)
        (ada,) = run(journal, "ada")
        assert other.take() == []
        journal.close()
        (taken,) = other.take()
        assert taken.id == ada.taken.id

    def test_an_id_is_never_used_again(self, url: str, keyed: Journals) -> None:
        """Each opening that owns something is a worker of its own."""
        ids = []
        for name in ("ada", "bob"):
            journal = keyed.open(url)
            run(journal, name)
            ids.append(journal.worker)
            journal.close()
        assert len(set(ids)) == 2


class TestServerRestart:
    def test_a_lost_connection(self, postgres: Server, upgraded: str, keyed: Journals) -> None:
        """A worker whose lock was lost with its connection takes it again when it next looks."""
        url = postgres.database(upgraded)
        journal, other = keyed.open(url), keyed.open(url)
        run(journal, "ada")
        database = Database.open(url)
        with database.writing() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                    " AND database = (SELECT oid FROM pg_database"
                    " WHERE datname = current_database())"
                )
            )
        database.close()
        while other.workers()[0].alive:
            pass
        assert journal.requests() == []
        assert other.workers()[0].alive
        assert other.take() == []

    def test_a_restarted_server(self, postgres: Server, upgraded: str, keyed: Journals) -> None:
        """A PostgreSQL server that restarts costs nothing: the writer waits, ownership stays."""
        url = postgres.database(upgraded)
        reactor = ManualReactor()
        journal = keyed.open(url, reactor=reactor)
        (ada,) = run(journal, "ada")
        ada.event()
        reactor.until(lambda: ada.released)
        postgres.stop()
        ada.event()
        reactor.turn()
        postgres.start()
        reactor.until(lambda: len(ada.released) == 2)
        other = keyed.open(url)
        journal.requests()
        assert other.take() == []
        assert [row.owner_alive for row in other.overview()] == [True]
        stopped = journal.stop()
        reactor.until(lambda: stopped.called)
        journal.give_back()
        (taken,) = other.take()
        again = Runner(taken)
        again.event()
        assert len(journal.history(taken.id)) == 3
