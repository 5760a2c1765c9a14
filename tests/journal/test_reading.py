"""What operators see of tasks, workers, batches and histories: the same on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast_journal import (
    CANCELLING,
    INTERRUPTED,
    Filter,
    NoSuchFlow,
    SqlJournal,
    TaskCursor,
    TaskFilter,
    TaskGroup,
    TaskRow,
    TaskState,
)
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, run, start

TASKS = (
    # whose, number, name, tries, error, due
    ("ann", 1, "mint", 0, "", 30.0),
    ("ann", 2, "letter", 3, "it raised KeyError", 20.0),
    ("bob", 1, "mint", 1, INTERRUPTED, 10.0),
    ("cleo", 1, "mint", 1, "the command's exit status was 3", 40.0),
)


@pytest.fixture
def journal(url: str, journals: Journals) -> SqlJournal:
    """Three flows with tasks, which we run."""
    journal = journals.open(url)
    for runner in run(journal, "ann", "bob", "cleo"):
        with _entry(runner):
            for name, number, task, tries, error, due in TASKS:
                if name == runner.taken.name:
                    runner.taken.journal.add_task(number, task, b"s3cr3t", "key", due, tries, error)
    return journal


@contextmanager
def _entry(runner: Runner) -> Iterator[None]:
    with runner.taken.journal.process():
        runner.taken.journal.record("task", heard="", said=(), event=b"")
        yield


def called(rows: list[TaskRow]) -> list[str]:
    return [f"{row.flow.name} {row.name} {row.state.value}" for row in rows]


def pages(journal: SqlJournal, chosen: TaskFilter, limit: int) -> list[TaskRow]:
    found: list[TaskRow] = []
    after: TaskCursor | None = None
    while True:
        page = journal.tasks(chosen, limit=limit, after=after)
        assert len(page.rows) <= limit
        found += page.rows
        after = page.then
        if after is None:
            return found


def test_tasks(journal: SqlJournal) -> None:
    """Those tried most often first, whatever the size of a page; each with its flow."""
    for limit in range(1, 6):
        rows = pages(journal, TaskFilter(), limit)
        assert called(rows) == [
            "ann letter failing",
            "bob mint running",
            "cleo mint failing",
            "ann mint pending",
        ]
    assert [row.error for row in rows] == [
        "it raised KeyError",
        "",
        "the command's exit status was 3",
        "",
    ]
    assert {row.flow.owner_alive for row in rows} == {True}
    assert "s3cr3t" not in repr(rows)
    assert {row.flow.published for row in rows} == {None}


CHOICES = (
    (TaskFilter(Filter(glob="a*")), ["ann letter failing", "ann mint pending"]),
    (TaskFilter(Filter(names=["bob"])), ["bob mint running"]),
    (TaskFilter(Filter(batch="nobody's")), []),
    (TaskFilter(names=["letter"]), ["ann letter failing"]),
    (TaskFilter(names=[]), []),
    (
        TaskFilter(Filter(statuses=["waiting"]), ["mint"], [TaskState.FAILING]),
        ["cleo mint failing"],
    ),
)


def test_some_tasks(journal: SqlJournal) -> None:
    """They are chosen by their flows, their names and how they stand; and counted alike."""
    for chosen, wanted in CHOICES:
        assert called(pages(journal, chosen, 9)) == wanted
        assert sum(each.number for each in journal.task_groups(chosen)) == len(wanted)
    assert sorted(journal.task_groups(TaskFilter()), key=repr) == [
        TaskGroup("letter", TaskState.FAILING, 1),
        TaskGroup("mint", TaskState.FAILING, 1),
        TaskGroup("mint", TaskState.PENDING, 1),
        TaskGroup("mint", TaskState.RUNNING, 1),
    ]


def test_workers(url: str, journal: SqlJournal, journals: Journals) -> None:
    """Those that are alive, with what they have; and those that are gone and still have flows."""
    other = journals.open(url)
    run(other, "zoe")
    looks = journals.open(url, looks=True)
    assert [(row.id, row.alive, row.flows, row.tasks) for row in looks.serving()] == [
        (other.worker, True, 1, 0),
        (journal.worker, True, 3, 4),
    ]
    journal.serve(["b", "a"])
    journal.tell("has no room")
    first, second = looks.worker_page(limit=1), looks.worker_page(limit=1, after=2)
    assert (first.then, second.then) == (2, None)
    assert [row.id for row in (*first.rows, *second.rows)] == [2, 1]
    [row] = second.rows
    assert (row.serves, row.notice) == (["a", "b"], "has no room")
    assert row.lease_until is not None and row.lease_until > row.started_at
    gone, _ = journal.worker, journal.close()
    other.give_back([flow.id for flow in other.unfinished() if flow.name == "zoe"])
    other.close()
    assert [(row.id, row.alive, row.flows) for row in looks.serving()] == [(gone, False, 3)]
    assert [row.alive for row in looks.worker_page().rows] == [False, False]


def test_batches(url: str, journals: Journals) -> None:
    """How many flows of each have which status, from when to when, and what is empty."""
    clock = 10.0
    journal = journals.open(url, clock=lambda: clock)
    ann, bob = run(journal, "ann", "bob")
    start(journal, "cleo", batch="march")
    clock = 20.0
    ann.status, ann.finished = "done", True
    ann.event()
    clock = 30.0
    journal.ask("bob", "batch", "cancel")
    bob.event()
    first, second = journal.batches(limit=1), journal.batches(limit=1, after=2)
    assert (first.then, second.then) == (2, None)
    rows = [*first.rows, *second.rows]
    assert [(row.name, dict(row.counts), row.unfinished) for row in rows] == [
        ("march", {"new": 1}, 1),
        ("batch", {"done": 1, CANCELLING: 1}, 1),
    ]
    assert [(row.first_at, row.last_at) for row in rows] == [(10.0, 10.0), (10.0, 30.0)]
    assert list(journal.batches(name="march").rows) == [rows[0]]
    assert not journal.batches(name="april").rows


def test_a_history_by_pages(url: str, journals: Journals) -> None:
    """Each entry once, in order; and a flow that there is not has none."""
    journal = journals.open(url)
    [ann] = run(journal, "ann")
    for _ in range(5):
        ann.event()
    for limit in range(1, 7):
        found, after = [], 0
        while True:
            page = journal.history_page(ann.taken.id, after=after, limit=limit)
            found += page.rows
            if page.then is None:
                break
            after = page.then
        assert found == journal.history(ann.taken.id)
    with pytest.raises(NoSuchFlow):
        journal.history_page(99)


def test_what_an_entry_mentions(url: str, journals: Journals) -> None:
    """The last entry of a block says it too, wherever in the block it was mentioned."""
    journal = journals.open(url)
    [ann] = run(journal, "ann")
    with ann.taken.journal.process():
        ann.taken.journal.mention("first")
        ann.taken.journal.record("message", heard="1", said=["own"], event=b"")
        ann.taken.journal.record("message", heard="2", said=['"own"'], event=b"")
        ann.taken.journal.mention("läst")
    said = [entry.said for entry in journal.history(ann.taken.id)]
    assert said == [["own"], ['"own"', "first", "läst"]]


def test_rows_that_were_altered(journals: Journals) -> None:
    """SQLite keeps anything anywhere: one such row does not hide the others."""
    journal = journals.open("sqlite://")
    for runner in run(journal, "ann", "bob"):
        with _entry(runner):
            runner.taken.journal.add_task(1, "mint", b"", "key", 1.0)
        runner.event()
    with journal._database.writing() as connection:
        for statement in (
            "UPDATE holdfast_tasks SET name = x'', attempts = 'x', due_at = x'ff' WHERE id = 1",
            "UPDATE holdfast_workers SET host = x'ff', lease_until = 'x', serves = '{', notice = 1",
            "UPDATE holdfast_batches SET created_at = 'x'",
            "UPDATE holdfast_flows SET created_at = 'x', updated_at = 'y' WHERE id = 1",
            "UPDATE holdfast_entries SET seq = 'x' WHERE id = 2",
        ):
            connection.exec_driver_sql(statement)
    assert sorted(row.flow.name for row in pages(journal, TaskFilter(), 1)) == ["ann", "bob"]
    assert [(row.host, row.serves, row.flows) for row in journal.serving()] == [("", None, 2)]
    [batch] = journal.batches().rows
    assert sum(batch.counts.values()) == 2
    page = journal.history_page(1, limit=1)
    assert len(page.rows) == 1
    [altered] = journal.history_page(1, after=page.then or 0).rows
    assert altered.heard.startswith("journal: this entry was altered: the column seq")


def test_how_flows_stand(url: str, journals: Journals) -> None:
    """Those of the most frequent status are not listed; what moves from then on is followed."""
    journal = journals.open(url)
    assert journal.standing().usual is None
    for runner in run(journal, "ann", "bob", "cleo", "dan"):
        runner.status = {"cleo": "held", "dan": "done"}.get(runner.taken.name, "waiting")
        runner.finished = runner.taken.name == "dan"
        with _entry(runner):
            pass
    found = journal.standing()
    ids = {row.name: row.id for row in journal.overview()}
    assert found.numbers == {("test", "waiting"): 2, ("test", "held"): 1}
    assert (found.usual, found.others) == ("waiting", {ids["cleo"]: "held"})
    assert [found.of(ids[name], 1) for name in ("ann", "cleo")] == ["waiting", "held"]
    start(journal, "eve")
    [eve] = journal.poll(seen=found.seen).rows
    assert (eve.name, found.of(eve.id, 1), found.of(ids["dan"], 2)) == ("eve", None, None)
    assert journal.standing("nobody").numbers == {}
