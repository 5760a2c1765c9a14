"""Databases full of flows that wait for their peers, ours and the mailbox server's.

One real flow is brought to where it waits, on a mailbox server in memory; the others are its
copies, each with a side, a nameplate, a mailbox and a data key of its own.  (They share a scalar
and the words of their codes, which nothing that is measured looks at.)
"""

import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from wormhole_mailbox_server.database import create_or_upgrade_channel_db

from holdfast.flows.document import Checkpoint, new_flow
from holdfast.flows.shipped.provision import Provision
from holdfast.transfer.text import APPID
from holdfast_journal import NewFlow, Snapshot, SqlJournal
from tests.bench.measuring import Figures, program
from tests.flows.world import World


def template() -> Checkpoint:
    """A flow that waits."""
    world = World()
    world.add(Provision(name="p", secret="s" * 32), "p")
    world.serve()
    world.until(lambda: world.status("p") == "waiting")
    world.advance(1)
    assert world.engine is not None
    [runner] = world.engine.running.values()
    assert runner.is_resting
    state = Checkpoint.from_bytes(runner._snapshot().checkpoint)
    world.close()
    return state


def copy_of(state: dict[str, Any], number: int, relay: str) -> bytes:
    """The document of one flow."""
    wormhole = state["wormhole"]
    exchange = wormhole["exchange"]
    words = exchange["code"]["data"]["code"].partition("-")[2]
    name = str(1000 + number)
    exchange["side"] = f"{number:010x}"
    exchange["code"]["data"]["code"] = state["published"]["code"] = f"{name}-{words}"
    exchange["nameplate"]["data"]["nameplate"] = name
    exchange["mailbox"]["data"]["mailbox"] = f"mailbox{number}"
    wormhole["relay"], wormhole["heard_at"] = relay, time.time()
    return json.dumps(state).encode()


def measure(database: str, server: str, relay: str, count: int) -> Figures:
    """Fill both, and die by SIGKILL while all flows are ours."""
    from twisted.internet import reactor

    state = json.loads(template().to_bytes())
    fill_server(Path(server), state, count)
    journal = SqlJournal.open(database, reactor=reactor)
    params = new_flow("p", Provision(name="p", secret="s" * 32), relay=relay, appid=APPID)
    new = [NewFlow(f"p{n}", params.kind, params.params) for n in range(count)]
    journal.start_flows("bench", new, own=True)
    taken = journal.take()
    assert len(taken) == count

    def write() -> None:
        for number, flow in enumerate(taken):
            document = copy_of(state, number, relay)
            published = {"code": state["published"]["code"]}
            snapshot = Snapshot("waiting", document, published, False, False)
            flow.journal.attach(lambda snapshot=snapshot: snapshot)
            with flow.journal.process():
                flow.journal.record("start", heard="flow: started", said=(), event=b"")
        journal.stop().addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(write)
    reactor.run()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def fill_server(path: Path, state: dict[str, Any], count: int) -> None:
    """What the server knows of them."""
    create_or_upgrade_channel_db(str(path)).close()
    exchange = state["wormhole"]["exchange"]
    [pake] = exchange["outbox"]["data"]["sent"]
    now = int(time.time())
    rows = [(f"{n:010x}", str(1000 + n), f"mailbox{n}") for n in range(count)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.executemany(
            "INSERT INTO mailboxes VALUES (?, ?, ?, 1)", [(APPID, m, now) for _, _, m in rows]
        )
        connection.executemany(
            "INSERT INTO mailbox_sides VALUES (?, 1, ?, ?, NULL)", [(m, s, now) for s, _, m in rows]
        )
        connection.executemany(
            "INSERT INTO nameplates (id, app_id, name, mailbox_id) VALUES (?, ?, ?, ?)",
            [(int(n), APPID, n, m) for _, n, m in rows],
        )
        connection.executemany(
            "INSERT INTO nameplate_sides VALUES (?, 1, ?, ?)",
            [(int(n), s, now) for s, n, _ in rows],
        )
        connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, 'pake', ?, ?, 'x')",
            [(APPID, m, s, pake["body"], now) for s, _, m in rows],
        )
        connection.commit()


if __name__ == "__main__":
    program(measure)
