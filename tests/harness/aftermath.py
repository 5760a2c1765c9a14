"""What must be true of a journal and of a codes file, however its processes died."""

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from holdfast_journal import schema


def codes_in(path: Path) -> dict[str, str]:
    """Return the codes of a codes file by name; none if it is not there yet."""
    try:
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
    except FileNotFoundError:
        return {}
    assert rows[0] == ["name", "code"], f"{path} is no codes file"
    return dict(rows[1:])


def check_journal(database: Path) -> None:
    """The database is whole, and every flow's entries are numbered without a gap."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        numbers: dict[int, list[int]] = {}
        query = f"SELECT flow_id, seq FROM {schema.entries.name} ORDER BY id"
        for flow, seq in connection.execute(query):
            numbers.setdefault(flow, []).append(seq)
        last = dict(connection.execute(f"SELECT id, seq FROM {schema.flows.name}"))
    for flow, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), f"flow {flow} has a gap: {found}"
        assert last[flow] == len(found), f"flow {flow} is at {last[flow]} of {len(found)}"


def check_statuses(shown: str, wanted: dict[str, str]) -> list[dict[str, Any]]:
    """`holdfast status --json` tells these statuses by name, and nobody else's."""
    rows: list[dict[str, Any]] = json.loads(shown)
    assert {row["name"]: row["status"] for row in rows} == wanted
    assert len(rows) == len(wanted)
    return rows
