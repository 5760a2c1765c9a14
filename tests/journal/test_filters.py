"""Finding flows: every filter and order gives the same on both databases, page by page."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import update

from holdfast_journal import (
    CANCELLING,
    UNLOADED,
    Cursor,
    Filter,
    FlowRow,
    Group,
    KeyRing,
    Snapshot,
    Sort,
    SqlJournal,
)
from holdfast_journal.reading import shown
from holdfast_journal.store.schema import flows
from tests.cli.journals import move, start
from tests.journal.conftest import Journals
from tests.journal.postgres import Server

NOW = 1_000_000.0

# In the order of the start: name, batch, status, the second of its last move.
STAND = (
    ("ann", "default", "waiting", 1),
    ("bob", "default", "done", 5),
    ("[c]_%", "default", "failed", 2),
    ("Dora", "march", "scared", 4),
    ("eve", "march", "exchanging", 3),
    ("fay", "march", "waiting", 6),
    ("gus\\", "march", "waiting", 0),
    ("h.l", "march", "cancelled", 7),
)
OVER = {"done", "failed", "scared", "cancelled"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[SqlJournal]:
    """These flows; eve's own code has raised, fay is asked to end, and nobody can load gus.

    All tests look at the same database.
    """
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("filters") / "journal.db"
        shutil.copy(request.getfixturevalue("upgraded_file"), path)
        url = f"sqlite:///{path}"
    else:
        running: Server = request.getfixturevalue("postgres")
        url = running.database(request.getfixturevalue("upgraded"))
    clock = NOW
    made = SqlJournal.open_inline(url, keys=KeyRing.random(), clock=lambda: clock)
    for name, batch, status, second in STAND:
        clock = NOW + second
        flow = start(made, name, batch=batch)[name]
        over = status in OVER
        move(flow, status, finished=over, shred=status in ("done", "cancelled"), code=f"7-{name}")
    made.ask("fay", "march", "cancel")
    [fay] = made.named("march", ["fay"])
    made.give_back([fay.id], wake_at=NOW + 9)
    with made._database.writing() as connection:
        for name, values in (
            ("eve", {"trouble": "KeyError", "kind": "own"}),
            ("gus\\", {"trouble": f"{UNLOADED}no such kind"}),
        ):
            connection.execute(update(flows).where(flows.c.name == name).values(**values))
    yield made
    made.close()


def names(rows: Sequence[FlowRow]) -> str:
    return " ".join(row.name for row in rows)


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (Filter(), "ann bob [c]_% Dora eve fay gus\\ h.l"),
        (Filter(statuses=["waiting"]), "ann gus\\"),
        (Filter(statuses=["failed", CANCELLING]), "[c]_% fay"),
        (Filter(statuses=[CANCELLING]), "fay"),
        (Filter(statuses=[]), ""),
        (Filter(statuses=["' OR 1=1 --"]), ""),
        (Filter(kinds=["own"]), "eve"),
        (Filter(batch="march"), "Dora eve fay gus\\ h.l"),
        (Filter(batch="april"), ""),
        (Filter(names=["ann", "fay", "nobody"]), "ann fay"),
        (Filter(names=["ann", "fay"], batch="march"), "fay"),
        (Filter(names=[]), ""),
        (Filter(ids=[3, 1, 99]), "ann [c]_%"),
        (Filter(glob="*"), "ann bob [c]_% Dora eve fay gus\\ h.l"),
        (Filter(glob="?a?"), "fay"),
        (Filter(glob="d*"), ""),
        (Filter(glob="D*a"), "Dora"),
        (Filter(glob="[c]*"), "[c]_%"),
        (Filter(glob="*_%"), "[c]_%"),
        (Filter(glob="*\\"), "gus\\"),
        (Filter(glob="h_l"), ""),
        (Filter(glob="bo"), ""),
        (Filter(since=NOW + 5), "bob fay h.l"),
        (Filter(finished=True), "bob [c]_% Dora h.l"),
        (Filter(finished=False, batch="default"), "ann"),
        (
            Filter(
                statuses=["waiting"],
                kinds=["provision"],
                batch="default",
                names=["ann", "x"],
                ids=[1, 2],
                glob="a*",
                since=NOW,
                finished=False,
            ),
            "ann",
        ),
    ],
)
def test_a_filter(journal: SqlJournal, chosen: Filter, wanted: str) -> None:
    """It gives the flows for which everything holds, and counts the same."""
    rows = journal.page(chosen).rows
    assert names(rows) == wanted
    counted = Counter[str]()
    for each in journal.groups(chosen):
        counted[each.status] += each.number
    # Each also has a name for ever.
    uids = [row.uid for row in rows]
    assert journal.page(Filter(uids=uids)).rows == sorted(rows, key=lambda row: row.id)
    assert counted == Counter(CANCELLING if row.request else row.status for row in rows)


ORDERS = {
    # In trouble now; ended badly; under way; done; the rest. What moved last comes first.
    Sort.TROUBLE: "eve gus\\ Dora [c]_% fay ann bob h.l",
    Sort.CHANGED: "h.l fay bob Dora eve [c]_% ann gus\\",
    Sort.NAME: "Dora [c]_% ann bob eve fay gus\\ h.l",
    Sort.STARTED: "ann bob [c]_% Dora eve fay gus\\ h.l",
}


@pytest.mark.parametrize("sort", Sort)
def test_pages_in_every_order(journal: SqlJournal, sort: Sort) -> None:
    """Whatever the size of the pages, each flow is on one of them, in order, and none is empty."""
    for limit in range(1, len(STAND) + 2):
        found: list[FlowRow] = []
        after: Cursor | None = None
        while True:
            page = journal.page(Filter(), sort, limit=limit, after=after)
            assert len(page.rows) <= limit
            assert bool(page.rows)
            found += page.rows
            after = page.then
            if after is None:
                break
        assert names(found) == ORDERS[sort]


def test_a_page_begins_where_the_other_ended(url: str, journals: Journals) -> None:
    """Flows that are started or end meanwhile do not shift it."""
    journal = journals.open(url)
    move(start(journal, "ann", "bob", "cleo")["ann"], "done", finished=True)
    first = journal.page(Filter(finished=False), Sort.NAME, limit=1)
    start(journal, "anton", "zoe")
    second = journal.page(Filter(finished=False), Sort.NAME, limit=2, after=first.then)
    assert names([*first.rows, *second.rows]) == "bob cleo zoe"
    assert second.then is None


def test_groups_say_who_runs_them(journal: SqlJournal) -> None:
    """Whether a worker that is alive owns them, when the others are due, and what waits."""
    assert sorted(journal.groups(Filter(batch="march")), key=lambda each: each.status) == [
        Group("cancelled", "provision", finished=True, number=1),
        Group(CANCELLING, "provision", finished=False, number=1, wake_at=NOW + 9, parked=1),
        Group("exchanging", "own", finished=False, number=1, troubled=1, owner_alive=True),
        Group("scared", "provision", finished=True, number=1),
        Group(
            "waiting",
            "provision",
            finished=False,
            number=1,
            unloaded=1,
            troubled=1,
            owner_alive=True,
        ),
    ]


def test_what_flows_heard_last(url: str, journals: Journals) -> None:
    """Of those that are not over and whose last entry is of that kind; the most frequent first."""
    journal = journals.open(url)
    taken = start(journal, "ann", "bob", "cleo", "dan", "eve")
    for name, heard in {"ann": "no", "bob": "away", "cleo": "away", "dan": "away"}.items():
        taken[name].journal.attach(lambda: Snapshot("starting", b"{}", {}, False, False))
        with taken[name].journal.process():
            taken[name].journal.record("no-server", heard=heard, said=(), event=b"")
    move(taken["dan"], "failed", finished=True)
    assert list(journal.last_heard("no-server").items()) == [("away", 2), ("no", 1)]
    assert journal.last_heard("no-server", most=1) == {"away": 2}
    move(taken["bob"], "waiting")
    assert journal.last_heard("no-server") == {"away": 1, "no": 1}


def test_no_seal_is_opened_unasked(journal: SqlJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What flows publish is opened for the rows of a page that asks for it, and for no others."""
    opened: list[object] = []
    real: Callable[..., bytes] = shown.unseal

    def unseal(*args: Any) -> bytes:
        opened.append(args)
        return real(*args)

    monkeypatch.setattr(shown, "unseal", unseal)
    for sort in Sort:
        assert {row.published for row in journal.page(Filter(), sort).rows} == {None}
    assert journal.groups(Filter())
    assert opened == []
    page = journal.page(Filter(batch="default"), limit=2, opens=True)
    assert [row.published for row in page.rows] == [{"code": "7-ann"}, None]
    assert len(opened) == 1


def test_a_row_that_was_altered(journals: Journals) -> None:
    """SQLite keeps anything anywhere: one such row does not hide the others, in any order."""
    journal = journals.open("sqlite://")
    start(journal, "ann", "bob")
    with journal._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE holdfast_flows SET status = x'ff', updated_at = 'soon', trouble = 7, kind = 1"
            " WHERE name = 'ann'"
        )
    for sort in Sort:
        first = journal.page(Filter(), sort, limit=1)
        second = journal.page(Filter(), sort, limit=1, after=first.then)
        assert {row.name for page in (first, second) for row in page.rows} == {"ann", "bob"}
    assert sum(each.number for each in journal.groups(Filter())) == 2
