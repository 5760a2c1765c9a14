"""What stands in a database: its rows, its file, and what is sealed in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from itertools import cycle
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock

from holdfast.errors import BadCheckpoint, WormholeError
from holdfast.flows.base import UnknownFlow
from holdfast.flows.document import Checkpoint, Params, begin, restore
from holdfast.flows.engine.executor import Executor
from holdfast.flows.engine.replay import check_flow
from holdfast_journal import JournalError, KeyRing, SqlJournal, Task
from holdfast_journal.doctor.examined import Examined, OpenedEntry
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.store.schema import metadata
from tests.fuzz.databases import fresh, template, use
from tests.fuzz.target import expect, target
from tests.journal.recordings import ENVIRON, KEY

TABLES = {table.name.removeprefix("holdfast_"): table for table in metadata.sorted_tables}


# Rows.


@cache
def _rows() -> list[bytes]:
    """One change to every column of the tables of flows, and some changes together."""
    found = []
    values = cycle((None, 0, "x", {"hex": "00ff"}, -1, 1e300, "\u00e9"))
    for name in ("flows", "entries", "tasks", "keys", "batches", "workers"):
        for column in TABLES[name].c:
            found.append(json.dumps([[name, column.name, 0, next(values)]]).encode())
    found.append(b'[["flows","seq",1,1],["flows","status",2,"done"],["tasks","due_at",0,"x"]]')
    return found


@target(JournalError, seeds=_rows, examples=12)
def rows(data: bytes) -> None:
    """Rows that somebody changed: their flows are set aside, and the others go on.

    A JSON list of [table, column, number of the row, value]; {"hex": ...} is a blob.
    """
    changes = _changes(data)
    path = fresh(template().data)
    alone: set[int] = set()
    shared = False
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for table, column, number, value in changes:
            ids = [row[0] for row in database.execute(f"SELECT id FROM holdfast_{table}")]
            if not ids:
                continue
            row = ids[number % len(ids)]
            which = "id" if table == "flows" else "flow_id"
            if table in ("flows", "entries", "tasks") and column not in ("id", "flow_id"):
                query = f"SELECT {which} FROM holdfast_{table} WHERE id = ?"
                alone.add(database.execute(query, [row]).fetchone()[0])
            else:
                shared = True
            try:
                statement = f"UPDATE holdfast_{table} SET {column} = ? WHERE id = ?"
                database.execute(statement, [value, row])
            except (sqlite3.Error, OverflowError, UnicodeEncodeError):
                continue
    taken = use(path)
    if not shared:
        expect(template().takeable - alone <= taken, "one bad row keeps other flows from running")


def _changes(data: bytes) -> list[tuple[str, str, int, Any]]:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return []
    found = []
    for each in given if isinstance(given, list) else []:
        if not isinstance(each, list) or len(each) != 4:
            continue
        table, column, number, value = each
        if not isinstance(table, str) or table not in TABLES or type(number) is not int:
            continue
        if not isinstance(column, str) or column not in TABLES[table].c:
            continue
        if isinstance(value, dict):
            try:
                value = bytes.fromhex(str(value.get("hex")))
            except ValueError:
                continue
        if not isinstance(value, list):
            found.append((table, column, number, value))
    return found


# Files.


@cache
def _flips() -> list[bytes]:
    size = len(template().data)
    places = [*range(0, 120, 7), *range(4096, size, 2011)]
    return [
        *(place.to_bytes(3, "big") + b"\xff" for place in places),
        (size - 5000).to_bytes(3, "big"),
    ]


@target(JournalError, seeds=_flips, examples=12)
def sqlite_file(data: bytes) -> None:
    """A file some of whose bytes are others.

    Each four bytes are a place and what is changed there; three left over cut the file there.
    """
    broken = bytearray(template().data)
    for at in range(0, len(data) - 3, 4):
        broken[int.from_bytes(data[at : at + 3], "big") % len(broken)] ^= data[at + 3]
    if len(data) % 4 == 3:
        del broken[int.from_bytes(data[-3:], "big") % len(broken) :]
    use(fresh(bytes(broken)))


# What is sealed.


@define
class _Sealed:
    """What the recorded flows keep, opened."""

    params: list[bytes] = field(factory=list)
    checkpoints: list[tuple[str, bytes]] = field(factory=list)
    histories: list[list[tuple[int, str, str, bytes]]] = field(factory=list)


@cache
def _sealed() -> _Sealed:
    found = _Sealed()
    path = fresh(template().data)
    journal = SqlJournal.open_inline(f"sqlite:///{path}", environ=ENVIRON)
    journal.close()
    ring = KeyRing.parse(KEY, "the recording")
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        for flow in database.execute("SELECT * FROM holdfast_flows WHERE data_key IS NOT NULL"):
            key = ring.open_data_key(flow["uid"], flow["data_key"])
            found.params.append(unseal(key, flow["uid"], "params", 0, flow["params"]))
            if flow["checkpoint"] is None:
                continue
            opened = unseal(key, flow["uid"], "checkpoint", flow["seq"], flow["checkpoint"])
            found.checkpoints.append((flow["kind"], opened))
            query = "SELECT * FROM holdfast_entries WHERE flow_id = ? ORDER BY seq"
            found.histories.append(
                [
                    (
                        each["seq"],
                        each["kind"],
                        each["said"],
                        unseal(key, flow["uid"], "event", each["seq"], each["event"]),
                    )
                    for each in database.execute(query, [flow["id"]])
                ]
            )
    return found


@target(
    BadCheckpoint,
    UnknownFlow,
    seeds=lambda: [*_sealed().params, *(each for _, each in _sealed().checkpoints)],
    examples=120,
)
def flow_document(data: bytes) -> None:
    """A flow's parameters, or its checkpoint."""
    if b'"wormhole"' not in data:
        params = Params.from_bytes(data)
        expect(Params.from_bytes(params.to_bytes()) == params, "other parameters when read again")
        begin("provision", params.params)
        return
    state = Checkpoint.from_bytes(data)
    again = Checkpoint.from_bytes(state.to_bytes())
    expect(again == state or "NaN" in str(data), "another checkpoint when read again")
    restore("provision", state.data)
    repr(state)


def _histories() -> Iterator[bytes]:
    sealed = _sealed()
    for (kind, checkpoint), entries in zip(sealed.checkpoints, sealed.histories, strict=True):
        body = [[seq, word, said, event.decode()] for seq, word, said, event in entries]
        bodies = [[*each[:3], json.loads(each[3]) if each[3] else None] for each in body]
        record = {"kind": kind, "checkpoint": json.loads(checkpoint), "entries": bodies}
        yield json.dumps(record).encode()


@target(seeds=_histories, examples=40)
def history(data: bytes) -> None:
    """A flow whose history and checkpoint a doctor compares."""
    try:
        record = json.loads(data)
        body = record["entries"]
        entries = [
            OpenedEntry(int(seq), str(kind), _said(said), _event(event))
            for seq, kind, said, event in body
        ]
        flow = Examined(1, "b", "ann", str(record["kind"]), "waiting", False, 1, False)
        flow.checkpoint = json.dumps(record["checkpoint"]).encode()
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return
    flow.entries = entries
    check_flow(flow)
    for finding in flow.findings:
        expect(finding.what.strip() and len(finding.what) < 3000, "a finding without words")


def _said(text: object) -> Sequence[str]:
    said = json.loads(text) if isinstance(text, str) else []
    return [each for each in said if isinstance(each, str)] if isinstance(said, list) else []


def _event(value: object) -> bytes:
    return b"" if value is None else json.dumps(value).encode()


# Tasks.


@define(eq=False)
class _Customer:
    """Who must hear of a task, once."""

    heard: list[Mapping[str, object]] = field(factory=list)

    def task_done(self, task: Task, result: Any) -> None:
        self.heard.append({"done": result})

    def task_deferred(self, task: Task, reason: str, due_at: float) -> None:
        self.heard.append({"deferred": reason})

    def task_failed(self, task: Task, reason: str) -> None:
        self.heard.append({"failed": reason})


@target(seeds=lambda: [b'{"command": []}', b'{"command": "x"}', b"[]", b"null"], examples=60)
def task_arguments(data: bytes) -> None:
    """What a task was asked for with; its flow hears in the end."""
    clock, customer = Clock(), _Customer()
    executor = Executor(_Reactor(clock), clock.seconds)
    executor.submit(customer, Task(1, "mint", data, "key", 0.0))
    clock.advance(0)
    clock.advance(100)
    expect(len(customer.heard) == 1, "a task of which nobody hears")


class _Reactor:
    """A clock that starts no process."""

    def __init__(self, clock: Clock) -> None:
        self.callLater, self.seconds = clock.callLater, clock.seconds

    def spawnProcess(self, *_: object, **__: object) -> None:  # noqa: N802
        raise WormholeError("nothing is started here")
