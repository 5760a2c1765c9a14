"""Bytes on disk for a flow that waits, that has finished, and that was purged.

Real flows of the kind that `holdfast provision` starts, with a secret of 32 bytes, through the real
engine and a mailbox server in memory; SQLite and, if a server is installed, PostgreSQL.

Nothing to compare with, so only by name: `make bench ONLY=sizes`.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

from sqlalchemy import create_engine, text

from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Peer
from holdfast.transfer import text as words
from holdfast_journal.store.database import Database
from holdfast_journal.upkeep.purging import Old, purge
from holdfast_journal.workers.locks import locks_for
from holdfast_journal.workers.registration import Registration
from tests.flows.world import World
from tests.journal.postgres import find_server, memory, server

PEOPLE = 500


def sqlite_size(path: Path) -> int:
    """Bytes of the pages in use, once the write-ahead log is in the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def postgresql_size(url: str) -> int:
    """Bytes of all tables and indexes of ours, written anew as autovacuum never does."""
    engine = create_engine(
        url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        names = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'holdfast%'")
        ).all()
        for name in names:
            connection.execute(text(f"VACUUM FULL {name}"))
        total = "SELECT sum(pg_total_relation_size(tablename::regclass)) FROM pg_tables"
        found = connection.scalar(text(f"{total} WHERE tablename LIKE 'holdfast%'"))
    engine.dispose()
    return int(found or 0)


def accept(peer: Peer, _: bytes) -> None:
    """Take the secret, as a stock client does."""
    peer.send(words.accept())


def measure(kind: str, url: str, size: Callable[[], int], say: Callable[[str], object]) -> None:
    """Run the story and say a figure for each part of it."""
    world = World(url)
    before = size()

    def told(what: str) -> None:
        each = (size() - before) / PEOPLE
        say(f"{kind}: {each:,.0f} bytes for a flow that {what}")

    names = [f"person {number}" for number in range(PEOPLE)]
    for name in names:
        world.add(Provision(name=name, secret="s" * 32), name)
    world.serve()
    world.until(lambda: set(world.journal.counts()) == {"waiting"})
    told("waits")
    for row in world.rows():
        code = str((row.published or {})["code"])
        world.peer(code, on_message=accept)
        world.advance(1)
    world.until(lambda: set(world.journal.counts()) == {"done"})
    told("has finished")
    database = Database.open(url)
    alive = Registration(database, time.time, locks_for(database)).alive
    purge(database, alive, Old(1e12))
    database.close()
    told("was purged")
    world.close()


def tell(say: Callable[[str], object]) -> None:
    """Measure both databases."""
    os.environ["HOLDFAST_KEY"] = "5a" * 32
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        path = Path(folder) / "journal.db"
        measure("SQLite", f"sqlite:///{path}", lambda: sqlite_size(path), say)
    programs = find_server()
    with nullcontext() if programs is None else server(programs) as running:
        if running is None:
            say("PostgreSQL: no server is installed")
            return
        url = running.database()
        measure("PostgreSQL", url, lambda: postgresql_size(url), say)
