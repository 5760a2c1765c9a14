"""A real database, copied for every input: a recorded one, upgraded once."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

import holdfast.flows  # noqa: F401 - registers the kinds of flows in the recording
from holdfast.cli.commands.doctor import check
from holdfast_journal import Filter, JournalError, Sort, SqlJournal
from tests.fuzz.scratch import folder
from tests.fuzz.target import check_error, expect
from tests.journal.recordings import ENVIRON, RECORDINGS, Recording


@frozen
class Template:
    """What every copy is a copy of."""

    data: bytes
    takeable: frozenset[int]
    """The ids of the flows that a worker takes."""


@cache
def template() -> Template:
    """The oldest recording, brought to this release's schema."""
    where = folder() / "template"
    where.mkdir()
    url = Recording(RECORDINGS[0]).copy(where)
    journal = SqlJournal.open_inline(url, environ=ENVIRON)
    takeable = frozenset(row.id for row in journal.overview() if row.finished_at is None)
    journal.close()
    path = where / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        # Few flows, so that an input costs little: the finished ones go, but one.
        over = "SELECT id FROM holdfast_flows WHERE finished_at > 0 ORDER BY id LIMIT -1 OFFSET 1"
        for table, column in (("entries", "flow_id"), ("tasks", "flow_id"), ("flows", "id")):
            connection.execute(f"DELETE FROM holdfast_{table} WHERE {column} IN ({over})")
        connection.commit()
        connection.execute("VACUUM")
    data = path.read_bytes()
    shutil.rmtree(where)
    return Template(data, takeable)


def fresh(data: bytes) -> Path:
    """A database file with *data*, and nothing of an earlier one."""
    for old in folder().glob("copy.sqlite*"):
        old.unlink()
    path = folder() / "copy.sqlite"
    path.write_bytes(data)
    return path


def use(path: Path) -> set[int]:
    """Do what operators and workers do; return the flows that could be taken.

    Each step may fail with a JournalError that is fit to be shown, and only so.
    """
    journal = SqlJournal.open_inline(f"sqlite:///{path}", environ=ENVIRON)
    taken: set[int] = set()
    try:
        for step in (_look, _doctor, _take, _change, _look):
            try:
                step(journal, taken)
            except JournalError as error:
                check_error(error)
    finally:
        journal.close()
    return taken


def _look(journal: SqlJournal, taken: set[int]) -> None:
    changes = journal.poll()
    journal.poll(seen=changes.seen)
    journal.counts()
    journal.groups(Filter())
    journal.standing()
    for sort in Sort:
        page = journal.page(Filter(), sort, limit=1, opens=True)
        journal.page(Filter(glob="*", since=0.0), sort, limit=1, after=page.then)
    journal.workers()
    for row in journal.overview():
        for made in (repr(row), *(dict(row.published or {}))):
            made.encode()
        journal.history(row.id)
        try:
            journal.events(row.id)
        except JournalError as error:
            check_error(error)


def _change(journal: SqlJournal, taken: set[int]) -> None:
    """Ask, change and retry everything, as an operator can."""
    rows = journal.overview()
    for _ in journal.ask_all([row.id for row in rows], "look"):
        pass
    for told in journal.change([row.id for row in rows], lambda params: params, "look"):
        expect(all(len(why or "") < 1000 for why in told.values()), "words that are too long")
    journal.plan_retries("plan", {row.id: row.attempt for row in rows})
    for some in journal.retry_planned("plan"):
        expect(all(len(each.why_not or "") < 1000 for each in some), "words that are too long")


def _doctor(journal: SqlJournal, taken: set[int]) -> None:
    report = check(journal, pause=lambda _: None)
    for found in report.findings:
        expect(len(found.what) < 3000, "a finding that is too long")


def _take(journal: SqlJournal, taken: set[int]) -> None:
    found = journal.take()
    taken.update(each.id for each in found)
    for each in found:
        _runs(each)
    journal.requests()
    journal.shred_due()
    journal.give_back()


def _runs(flow: Any) -> None:
    """See that what a runner relies on is there."""
    expect(isinstance(flow.seq, int) and isinstance(flow.epoch, int), "a number that is none")
    for task in flow.tasks:
        expect(isinstance(task.due_at, float | int), "a time that is none")
        expect(isinstance(task.attempts, int), "a number that is none")
        expect(isinstance(task.name, str) and isinstance(task.key, str), "a text that is none")
