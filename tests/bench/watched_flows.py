"""Databases full of flows that a mailbox server watches, ours and the server's.

One real flow is brought to where it waits (`waiting_flows.template`); the others are its copies,
each with a side, a nameplate, a mailbox, a scalar and a data key of its own, so that a recipient
with the code gets the text. Ours go into the journal by its public face: started, taken, committed,
marked, and parked with the revision that the server has. The server's rows, those of the watches
included, are written by SQL, as it would have written them.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.python.failure import Failure
from wormhole_mailbox_server.database import create_or_upgrade_channel_db

from holdfast.crypto import pake
from holdfast.flows.document import new_flow
from holdfast.flows.shipped.provision import Provision
from holdfast.server.database import open_database
from holdfast.transfer.text import APPID
from holdfast_journal import NewFlow, Snapshot, SqlJournal, Watcher
from tests.bench.measuring import Figures, program
from tests.bench.waiting_flows import template

CHUNK = 5000
FIRST = 100_000
"""The first nameplate; all have as many digits."""
REVISION = 1


@frozen
class Waiting:
    """One who waits."""

    number: int
    words: str

    @property
    def nameplate(self) -> str:
        return str(FIRST + self.number)

    @property
    def code(self) -> str:
        return f"{self.nameplate}-{self.words}"

    @property
    def side(self) -> str:
        return f"{self.number:010x}"

    @property
    def mailbox(self) -> str:
        return f"mailbox{self.number}"


def measure(database: str, server: str, relay: str, count: int) -> Figures:
    """Fill both; return the words of all codes."""
    from twisted.internet import reactor

    state = json.loads(template().to_bytes())
    words = state["published"]["code"].partition("-")[2]
    journal = SqlJournal.open(database, reactor=reactor)
    watcher = journal.watcher(relay, APPID)

    @inlineCallbacks
    def everybody() -> Any:
        with closing(_server(Path(server), watcher)) as connection:
            for first in range(0, count, CHUNK):
                some = [Waiting(n, words) for n in range(first, min(count, first + CHUNK))]
                said = yield fill(journal, watcher, state, some, relay)
                fill_server(connection, some, said)
        yield journal.stop()

    failed: list[Failure] = []
    reactor.callWhenRunning(
        lambda: everybody().addErrback(failed.append).addBoth(lambda _: reactor.stop())
    )
    reactor.run()
    journal.close()
    for failure in failed:
        failure.raiseException()
    return {"words": words}


@inlineCallbacks
def fill(
    journal: SqlJournal,
    watcher: Watcher,
    state: dict[str, Any],
    some: Sequence[Waiting],
    relay: str,
) -> Any:
    """Have these wait in the journal, watched; return a Deferred of their first messages."""
    params = new_flow("p", Provision(name="p", secret="s" * 32), relay=relay, appid=APPID)
    by_name = {f"p{each.number}": each for each in some}
    journal.start_flows(
        "bench", [NewFlow(n, params.kind, params.params) for n in by_name], own=True
    )
    messages, marks, durable = {}, {}, []
    for flow in journal.take():
        each = by_name[flow.name]
        document, messages[each.number] = copy_of(state, each, relay)
        snapshot = Snapshot("waiting", document, {"code": each.code}, False, False)
        flow.journal.attach(lambda snapshot=snapshot: snapshot)
        durable.append(Deferred[None]())
        with flow.journal.process():
            flow.journal.record("start", heard="flow: started", said=(), event=b"")
            flow.journal.queue_outbound(durable[-1].callback, None)
        marks[flow.id] = each.mailbox, each.side
    yield DeferredList(durable)
    journal.watch(watcher.id, marks)
    journal.park(dict.fromkeys(marks), REVISION)
    return [messages[each.number] for each in some]


def copy_of(state: dict[str, Any], each: Waiting, relay: str) -> tuple[bytes, str]:
    """The document of one flow, and what it has said."""
    wormhole = state["wormhole"]
    exchange = wormhole["exchange"]
    half = pake.start(each.code, APPID, os.urandom(pake.SEED_LENGTH))
    body = json.dumps({"pake_v1": half.message.hex()}).encode().hex()
    exchange["side"], wormhole["relay"], wormhole["heard_at"] = each.side, relay, time.time()
    exchange["code"]["data"]["code"] = state["published"]["code"] = each.code
    exchange["nameplate"]["data"]["nameplate"] = each.nameplate
    exchange["mailbox"]["data"]["mailbox"] = each.mailbox
    exchange["key"]["data"]["scalar"] = half.scalar
    exchange["outbox"]["data"]["sent"][0]["body"] = body
    return json.dumps(state).encode(), body


def _server(path: Path, watcher: Watcher) -> sqlite3.Connection:
    """The server's database, which knows who watches."""
    open_database(path, create_or_upgrade_channel_db).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    name = hashlib.sha256(watcher.name.encode()).digest()
    connection.execute(
        "INSERT INTO holdfast_watchers (id, app_id, name, seen, revision) VALUES (1, ?, ?, ?, ?)",
        (APPID, name, time.time(), REVISION),
    )
    return connection


def fill_server(
    connection: sqlite3.Connection, some: Sequence[Waiting], messages: Sequence[str]
) -> None:
    """What the server knows of them."""
    now = time.time()
    boxes = [(APPID, each.mailbox, now) for each in some]
    sides = [(each.mailbox, each.side, now) for each in some]
    names = [(FIRST + e.number, APPID, e.nameplate, e.mailbox) for e in some]
    claims = [(FIRST + each.number, each.side, now) for each in some]
    said = [(APPID, e.mailbox, e.side, body, now) for e, body in zip(some, messages, strict=True)]
    watches = [(each.mailbox, each.side) for each in some]
    with connection:
        for statement, rows in (
            ("mailboxes VALUES (?, ?, ?, 1)", boxes),
            ("mailbox_sides VALUES (?, 1, ?, ?, NULL)", sides),
            ("nameplates (id, app_id, name, mailbox_id) VALUES (?, ?, ?, ?)", names),
            ("nameplate_sides VALUES (?, 1, ?, ?)", claims),
            ("messages VALUES (?, ?, ?, 'pake', ?, ?, 'x')", said),
            ("holdfast_watches VALUES (?, ?, 1)", watches),
        ):
            connection.executemany(f"INSERT INTO {statement}", rows)


if __name__ == "__main__":
    program(measure)
