"""What finished flows cost those that run, start and look: nothing, and that is counted.

SQLite counts the instructions of its own machine, which no other work on the computer changes.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define
from sqlalchemy import event
from sqlalchemy.pool import Pool

from holdfast_journal import Filter, KeyRing, NewFlow, Sort, SqlJournal
from holdfast_journal.reading import shown
from tests.cli.journals import move, start
from tests.journal.conftest import Journals
from tests.journal.many import multiply

FEW, MANY = 20, 2000
KEY = KeyRing.parse("6b" * 32, "test")


@define
class Steps:
    """Counts what SQLite does, in tens of instructions."""

    count: int = 0

    def one(self) -> int:
        self.count += 1
        return 0

    def watch(self, connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_progress_handler(self.one, 10)


@pytest.fixture(scope="module")
def steps() -> Iterator[Steps]:
    found = Steps()
    event.listen(Pool, "connect", found.watch)
    yield found
    event.remove(Pool, "connect", found.watch)


def build(path: Path, count: int) -> SqlJournal:
    """So many that are over, the first of them copied; three that wait, of two batches."""
    url = f"sqlite:///{path}"
    journal = SqlJournal.open_inline(url, keys=KEY)
    flows = start(journal, "over")
    move(flows["over"], "done", code="8-a-b", finished=True, shred=True)
    journal.close()
    multiply(path, count)
    journal = SqlJournal.open_inline(url, keys=KEY)
    journal.start_flows("default", [NewFlow(name, "provision", b"p") for name in ("ann", "bob")])
    journal.start_flows("other", [NewFlow("cleo", "provision", b"p")])
    for flow in journal.take():
        move(flow, "waiting", code="7-a-b")
    return journal


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, steps: Steps) -> Iterator[list[SqlJournal]]:
    folder = tmp_path_factory.mktemp("finished")
    journals = [build(folder / f"{count}.db", count) for count in (FEW, MANY)]
    yield journals
    for journal in journals:
        journal.close()


def follow(journal: SqlJournal) -> None:
    """Two looks, of which the second finds one that moved."""
    seen = journal.poll("default").seen
    journal.start_flows("default", [])
    assert journal.poll("default", seen).rows == []


ASKED: dict[str, Callable[[SqlJournal], object]] = {
    "following, of all": lambda journal: journal.poll(),
    "following, of a batch": follow,
    "following, of a name": lambda journal: journal.poll("default", names=["ann"]),
    "following, of a name that is over": lambda journal: journal.poll("default", names=["p7"]),
    "what is not over": lambda journal: journal.unfinished(),
    "what is not over in a batch": lambda journal: journal.unfinished("default"),
    "what is in trouble": lambda journal: journal.page(Filter(), Sort.TROUBLE, limit=10),
    "what is done": lambda journal: journal.page(Filter(finished=True), Sort.TROUBLE, limit=10),
    "how many are not over": lambda journal: journal.counts(finished=False),
    "the same of a batch": lambda journal: journal.counts("default", finished=False),
    "how they stand": lambda journal: journal.standing(),
    "how they stand in a batch": lambda journal: journal.standing("default"),
    "how many wait": lambda journal: journal.count_unfinished(),
    "flows of these names": lambda journal: journal.named("default", ["ann", "p7", "nobody"]),
    "one flow": lambda journal: journal.overview(name="ann"),
    "one flow of a batch": lambda journal: journal.overview("default", "ann"),
    "what is there already": lambda journal: journal.existing("default", ["ann", "p7", "new"]),
    "starting nobody new": lambda journal: journal.start_flows(
        "default", [NewFlow(name, "provision", b"p") for name in ("ann", "p7")]
    ),
    "asking for something": lambda journal: journal.ask("ann", "default", "look"),
    "what was asked": lambda journal: journal.requests(),
    "taking": lambda journal: journal.take(),
    "taking of a batch": lambda journal: journal.take(batch="default", names=["ann", "p7"]),
    "shredding": lambda journal: journal.shred_due(),
    "sharing": lambda journal: journal.excess(),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_hundred_times_as_many_cost_the_same(
    name: str, both: list[SqlJournal], steps: Steps
) -> None:
    """But for the depth of a search in an index."""
    costs = []
    for journal in both:
        ASKED[name](journal)  # what is made once is made
        before = steps.count
        ASKED[name](journal)
        costs.append(steps.count - before)
    few, many = costs
    assert many <= few + few // 5 + 5


@pytest.mark.parametrize("own", [False, True], ids=["free", "ours"])
def test_a_hundred_times_as_many_are_due(tmp_path: Path, steps: Steps, *, own: bool) -> None:
    """Whoever takes five of them looks no further, and hands over no list of all."""
    costs = []
    for count in (FEW, MANY):
        journal = SqlJournal.open_inline(f"sqlite:///{tmp_path}/{count}.db", keys=KEY)
        new = [NewFlow(f"p{n}", "provision", b"p") for n in range(count)]
        journal.start_flows("default", new, own=own)
        names = {flow.name for flow in new} | {f"q{n}" for n in range(MANY)}
        assert [flow.name for flow in journal.take(limit=2, names=names)] == ["p0", "p1"]
        before = steps.count
        assert len(journal.take(limit=5, names=names)) == 5
        costs.append(steps.count - before)
        journal.close()
    few, many = costs
    assert many <= few + few // 5 + 5


def test_nothing_is_remembered_of_what_is_over(both: list[SqlJournal]) -> None:
    """Whoever follows for long does not grow, and a name is looked for in its batch."""
    for journal in both:
        first = journal.poll()
        assert sorted(first.seen.seqs) == sorted(row.id for row in first.rows)
        assert [row.name for row in first.rows] == ["ann", "bob", "cleo"]
        assert journal.poll(None, first.seen).seen.seqs == {}
        assert journal.named("other", ["ann"]) == []


def test_no_seal_of_what_is_not_shown_is_opened(
    both: list[SqlJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look opens what it returns."""
    opened: list[object] = []
    real = shown.unseal

    def unseal(*args: object) -> bytes:
        opened.append(args)
        return real(*args)

    monkeypatch.setattr(shown, "unseal", unseal)
    for journal in both:
        for look, rows in (
            (lambda j=journal: j.unfinished("default"), 2),
            (lambda j=journal: j.poll().rows, 3),
            (lambda j=journal: j.named("default", ["ann"]), 1),
            (lambda j=journal: j.counts() and [], 0),
        ):
            opened.clear()
            assert len(look()) == len(opened) == rows


def test_all_of_them_page_by_page(both: list[SqlJournal]) -> None:
    """The pages are what the overview is, and the counts are theirs."""
    journal = both[1]
    pages, after = [], None
    while not pages or after is not None:
        page = journal.page(Filter(), after=after, opens=True)
        pages.append(page.rows)
        after = page.then
    rows = [row for page in pages for row in page]
    assert rows == journal.overview()
    assert max(len(page) for page in pages) < MANY
    assert journal.page(Filter(batch="other"), opens=True).rows == journal.overview("other")
    assert journal.counts() == {"done": MANY, "waiting": 3}
    assert journal.counts(finished=True) == {"done": MANY}
    assert journal.counts("other") == {"waiting": 1}


class TestFollowing:
    """On each database, what moved is told once, whatever was over before."""

    def test_what_ends_is_told(self, url: str, journals: Journals) -> None:
        """And so is what is started and ends between two looks."""
        journal = journals.open(url)
        ada = start(journal, "ada")["ada"]
        start(journal, "waits")
        seen = journal.poll().seen
        move(ada, "done", finished=True, shred=True)
        bob = start(journal, "bob")["bob"]
        move(bob, "done", finished=True, shred=True)
        second = journal.poll(None, seen)
        assert [(row.name, row.status) for row in second.rows] == [("ada", "done"), ("bob", "done")]
        if url.startswith("sqlite"):
            assert sorted(second.seen.seqs) == [row.id for row in second.rows]
        third = journal.poll(None, second.seen)
        assert third.rows == []
        assert journal.poll(None, third.seen).rows == []

    def test_what_was_over_is_not_told_again(self, url: str, journals: Journals) -> None:
        """Not even where the look goes back by some entries, as on PostgreSQL."""
        journal = journals.open(url)
        for name in ("ada", "bob"):
            move(start(journal, name)[name], "done", finished=True, shred=True)
        first = journal.poll()
        assert first.rows == []
        start(journal, "cleo")
        second = journal.poll(None, first.seen)
        assert [row.name for row in second.rows] == ["cleo"]
        assert journal.poll(None, second.seen).rows == []

    def test_names_that_are_over_are_told_at_first(self, url: str, journals: Journals) -> None:
        """Whoever waits for the end of a flow hears of one that was before the first look."""
        journal = journals.open(url)
        move(start(journal, "ada")["ada"], "done", finished=True, shred=True)
        first = journal.poll("default", names=["ada", "nobody"])
        assert [row.name for row in first.rows] == ["ada"]
        assert journal.poll("nowhere", names=["ada"]).rows == []
