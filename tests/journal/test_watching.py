"""Flows for which a mailbox server watches: let go, found again, and never lost."""

import pytest
from sqlalchemy import text

from holdfast_journal import CANCEL, Filter, KeyRing, SqlJournal
from holdfast_journal.ownership.due import LONGEST_PAUSE
from holdfast_journal.ownership.values import Unfinished
from holdfast_journal.store.database import Database
from holdfast_journal.upkeep import rotating
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, run
from tests.journal.test_retention import Time, end

HERE = ("ws://here/v1", "an.app/text")


def park(
    journal: SqlJournal, *names: str, revision: int = 1, wake_at: float | None = None
) -> dict[str, int]:
    """Start flows, and let the server watch each mailbox that is named as they are."""
    ids = {runner.taken.name: runner.taken.id for runner in begun(journal, *names)}
    watcher = journal.watcher(*HERE).id
    journal.watch(watcher, {flow: (name, "side") for name, flow in ids.items()})
    journal.park(dict.fromkeys(ids.values(), wake_at), revision)
    return ids


def begun(journal: SqlJournal, *names: str) -> list[Runner]:
    runners = run(journal, *names)
    for runner in runners:
        runner.event()
    return runners


def arrive(journal: SqlJournal, *names: str) -> int:
    """Something comes into these mailboxes."""
    return journal.has_come(journal.watcher(*HERE).id, [(name, "side") for name in names])


def watched(journal: SqlJournal, batch: str | None = None) -> int:
    """How many of a batch, or of all, are watched."""
    return sum(each.number for each in journal.groups(Filter(batch=batch)) if each.watched)


def taken(journal: SqlJournal, **options: object) -> list[str]:
    return [flow.name for flow in journal.take(**options)]  # type: ignore[arg-type]


class TestWatchers:
    def test_one_for_all_workers(self, url: str, journals: Journals) -> None:
        """A server and an application have one watcher, with a secret name that stays."""
        first, second = (journals.open(url) for _ in range(2))
        here = first.watcher(*HERE)
        assert (here.url, here.appid) == HERE
        assert len(here.name) == 64
        assert here.name not in repr(here)
        assert second.watcher(*HERE) == here == first.watcher(*HERE)
        others = [second.watcher("ws://there/v1", HERE[1]), second.watcher(HERE[0], "another")]
        assert len({each.name for each in (here, *others)}) == 3

    def test_those_in_use(self, url: str, journals: Journals) -> None:
        """A worker that begins learns which watchers have something to watch."""
        first, second = (journals.open(url) for _ in range(2))
        first.watcher("ws://there/v1", HERE[1])
        assert second.watchers() == []
        park(first, "ada")
        assert second.watchers() == [first.watcher(*HERE)]
        arrive(second, "ada")
        assert second.watchers() == []

    def test_a_stolen_database(self, url: str, journals: Journals) -> None:
        """Neither the server, nor the watcher's name, nor a mailbox can be read in it."""
        journal = journals.open(url)
        park(journal, "secret mailbox")
        name = journal.watcher(*HERE).name
        database = Database.open(url)
        with database.reading() as connection:
            (row,) = connection.execute(text("SELECT * FROM holdfast_watchers")).all()
            (mark,) = connection.execute(text("SELECT watch FROM holdfast_flows")).all()
        database.close()
        for secret in (*HERE, name, "secret mailbox"):
            assert secret.encode() not in repr([*row, *mark]).encode()


class TestParking:
    def test_it_waits_for_ever(self, url: str, journals: Journals) -> None:
        """Nobody takes it, however long that lasts; then something comes, and it is due."""
        clock = Time()
        first, second = (journals.open(url, clock=clock) for _ in range(2))
        park(first, "ada", "bob")
        clock.now += 100 * LONGEST_PAUSE
        assert taken(first) == taken(second) == []
        assert watched(first) == 2
        assert arrive(second, "ada") == 1
        assert arrive(second, "ada") == 0
        assert taken(second) == ["ada"]
        assert taken(first) == []

    def test_it_wakes(self, url: str, journals: Journals) -> None:
        """It is due at its time, which may be far ahead."""
        clock = Time()
        journal = journals.open(url, clock=clock)
        park(journal, "ada", wake_at=clock.now + 2 * LONGEST_PAUSE)
        clock.now += 2 * LONGEST_PAUSE - 1
        assert taken(journal) == []
        clock.now += 2
        assert taken(journal) == ["ada"]
        assert arrive(journal, "ada") == 0

    def test_something_is_asked(self, url: str, journals: Journals) -> None:
        """It is due at once."""
        journal = journals.open(url)
        park(journal, "ada", "bob", wake_at=9e12)
        journal.ask("ada", None, CANCEL)
        assert taken(journal) == ["ada"]

    def test_something_comes_before_it_is_parked(self, url: str, journals: Journals) -> None:
        """Whoever hears of it, the flow is due as soon as it is parked, whatever its time."""
        first, second = (journals.open(url) for _ in range(2))
        watcher = first.watcher(*HERE).id
        ids = [runner.taken.id for runner in begun(first, "ada", "bob")]
        first.watch(watcher, {ids[0]: ("ada", "side"), ids[1]: ("bob", "side")})
        assert arrive(second, "ada") == 1
        assert taken(second) == []
        first.park(dict.fromkeys(ids, 9e12), 1)
        assert taken(second) == ["ada"]

    def test_only_ours(self, url: str, journals: Journals) -> None:
        """A worker that has lost its flow neither notes nor parks anything."""
        first, second = (journals.open(url) for _ in range(2))
        (ada,) = begun(first, "ada")
        first.give_back([ada.taken.id])
        assert taken(second) == ["ada"]
        first.watch(first.watcher(*HERE).id, {ada.taken.id: ("ada", "side")})
        first.park({ada.taken.id: None}, 1)
        assert arrive(first, "ada") == 0
        assert taken(first) == []
        assert first.count_unfinished().begun == 1

    def test_counted(self, url: str, journals: Journals) -> None:
        """Those that are watched are counted by themselves."""
        journal = journals.open(url)
        park(journal, "ada", "bob")
        (cleo,) = begun(journal, "cleo")
        assert journal.count_unfinished() == Unfinished(1, 0, 0)
        assert watched(journal) == 2
        journal.give_back([cleo.taken.id])
        assert journal.count_unfinished(batch="batch", kinds=["test"]) == Unfinished(1, 0, 1)
        assert journal.count_unfinished(names=["ada"]) == Unfinished(0, 0, 0)


class TestForgotten:
    def test_what_came_later(self, url: str, journals: Journals) -> None:
        """A server that was restored has forgotten what it had confirmed since."""
        journal = journals.open(url)
        park(journal, "ada", revision=7)
        park(journal, "bob", revision=8)
        watcher = journal.watcher(*HERE).id
        assert journal.forgotten(watcher, 8) == 0
        assert journal.forgotten(watcher + 1, 0) == 0
        assert journal.forgotten(watcher, 7) == 1
        assert taken(journal) == ["bob"]
        assert journal.forgotten(watcher, -1) == 1
        assert taken(journal) == ["ada"]

    def test_what_is_under_way(self, url: str, journals: Journals) -> None:
        """What a server had confirmed before it forgot is not parked on it afterwards."""
        first, second = (journals.open(url) for _ in range(2))
        (ada,) = begun(first, "ada")
        watcher = first.watcher(*HERE).id
        first.watch(watcher, {ada.taken.id: ("ada", "side")})
        assert second.forgotten(watcher, 0) == 1
        first.park({ada.taken.id: None}, 1)
        assert taken(second) == ["ada"]

    @pytest.mark.long
    @pytest.mark.parametrize("count", [1001])
    def test_many(self, url: str, journals: Journals, count: int) -> None:
        """In several transactions."""
        journal = journals.open(url)
        park(journal, *map(str, range(count)))
        assert journal.forgotten(journal.watcher(*HERE).id, -1) == count
        assert len(journal.take()) == count


def test_an_older_release(url: str, journals: Journals) -> None:
    """It takes a watched flow and gives it back, and knows of no watch: the flow is visited."""
    clock = Time()
    journal = journals.open(url, clock=clock)
    park(journal, "ada")
    database = Database.open(url)
    with database.writing() as connection:
        due = text("SELECT count(*) FROM holdfast_flows WHERE owner IS NULL AND wake_at <= :now")
        assert connection.scalar(due, {"now": clock.now}) == 1
        taken_and_back = "UPDATE holdfast_flows SET epoch = epoch + 1, wake_at = :later"
        connection.execute(text(taken_and_back), {"later": clock.now + 1})
    database.close()
    assert watched(journal) == 0
    assert taken(journal) == []
    clock.now += 1
    assert taken(journal) == ["ada"]


class TestOperators:
    """What they do meets watched flows as it meets others."""

    def test_the_parameters_change(self, url: str, journals: Journals) -> None:
        """As for another deadline: the flow is due, to heed it."""
        journal = journals.open(url)
        ids = park(journal, "ada", "bob")
        list(journal.change([ids["ada"]], bytes.upper, "extend"))
        (ada,) = journal.take()
        assert (ada.name, ada.params) == ("ada", b"PARAMS OF ADA")

    def test_retried(self, url: str, journals: Journals) -> None:
        """Nothing of the watch is left in the next attempt, even if its end left something."""
        journal = journals.open(url)
        (ada,) = begun(journal, "ada")
        journal.watch(journal.watcher(*HERE).id, {ada.taken.id: ("ada", "side")})
        end(ada, "failed", shred=False)
        journal.retry("ada", None)
        assert arrive(journal, "ada") == 0
        assert taken(journal) == ["ada"]

    def test_something_comes_for_what_is_over(self, url: str, journals: Journals) -> None:
        """That is of no interest any more, and can be acknowledged."""
        journal = journals.open(url)
        (ada,) = begun(journal, "ada")
        journal.watch(journal.watcher(*HERE).id, {ada.taken.id: ("ada", "side")})
        end(ada)
        assert arrive(journal, "ada") == 0
        assert taken(journal) == []

    def test_another_key(self, url: str, journals: Journals) -> None:
        """Watchers and marks outlive the master key."""
        journal = journals.open(url)
        park(journal, "ada")
        here = journal.watcher(*HERE)
        new = b"n" * 32
        database = Database.open(url)
        both = KeyRing([new, *journals.keys._keys])
        rotating.rotate(database, both, 0.0)
        database.close()
        after = journals.open(url, keys=KeyRing([new]))
        assert after.watchers() == [here]
        assert arrive(after, "ada") == 1
        assert taken(after) == ["ada"]

    def test_an_altered_watcher(self, url: str, journals: Journals) -> None:
        """It gets another name, and its flows are due: the server would tell of them to nobody."""
        journal = journals.open(url)
        park(journal, "ada")
        before = journal.watcher(*HERE)
        database = Database.open(url)
        with database.writing() as connection:
            connection.execute(text("UPDATE holdfast_watchers SET name = url"))
        database.close()
        assert journal.watchers() == []
        assert taken(journal) == ["ada"]
        after = journal.watcher(*HERE)
        assert (after.id, after.url) == (before.id, before.url)
        assert after.name != before.name
        assert journal.watcher(*HERE) == after

    def test_a_mark_that_is_missing(self, url: str, journals: Journals) -> None:
        """The doctor says so: something could come, and the flow would not be found."""
        journal = journals.open(url)
        park(journal, "ada")
        assert [each for flow in journal.checks.flows() for each in flow.findings] == []
        database = Database.open(url)
        with database.writing() as connection:
            connection.execute(text("UPDATE holdfast_flows SET watch = NULL"))
        database.close()
        (finding,) = (each for flow in journal.checks.flows() for each in flow.findings)
        assert finding.check == "watch"
