"""What must be true of a journal and of a codes file, however its processes died."""

import csv
import json
from pathlib import Path
from typing import Any

from holdfast.cli.commands.doctor import check
from holdfast.operating.own_flows import ship
from holdfast_journal import SqlJournal


def codes_in(path: Path) -> dict[str, str]:
    """Return the codes of a codes file by name; none if it is not there yet."""
    try:
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
    except FileNotFoundError:
        return {}
    assert rows[0] == ["name", "code"], f"{path} is no codes file"
    return dict(rows[1:])


def check_journal(database: Path | str, **environ: str) -> None:
    """The doctor finds nothing but, maybe, flows that wait for a process.

    *database* is an SQLite file or a URL, *environ* may have its key.
    """
    ship()
    url = f"sqlite:///{database}" if isinstance(database, Path) else database
    journal = SqlJournal.open_inline(url, environ=environ)
    try:
        report = check(journal)
    finally:
        journal.close()
    found = [each for each in report.findings if each.check != "lease"]
    assert not found, found


def statuses(database: Path) -> dict[str, str]:
    """The status of every flow in an SQLite file, by name."""
    journal = SqlJournal.open_inline(f"sqlite:///{database}", environ={})
    try:
        rows = journal.overview()
    finally:
        journal.close()
    found = {row.name: row.status for row in rows}
    assert len(found) == len(rows)
    return found


def check_statuses(shown: str, wanted: dict[str, str]) -> list[dict[str, Any]]:
    """`holdfast status --json` tells these statuses by name, and nobody else's."""
    rows: list[dict[str, Any]] = json.loads(shown)
    assert {row["name"]: row["status"] for row in rows} == wanted
    assert len(rows) == len(wanted)
    return rows
