"""Several services of one database: one on an SQLite file, any number on PostgreSQL."""

import os

import pytest
from attrs import define

from holdfast_journal import AlreadyServed, SqlJournal
from tests.journal.conftest import Journals
from tests.journal.helpers import start
from tests.journal.postgres import Server
from tests.journal.test_leases import Time, file

__all__ = ["file"]

KINDS = ["test", "other"]


class TestOneService:
    def test_a_second_one(self, file: str, journals: Journals) -> None:
        """An SQLite file has one service; the next can begin when that one is over."""
        one, two = journals.open(file), journals.open(file)
        one.serve(["provision", "send"])
        with pytest.raises(AlreadyServed, match=f"^process {os.getpid()} serves /.*journal.db "):
            two.serve(["provision", "send"])
        one.serve(None)  # again, as it likes
        one.close()
        two.serve(["provision", "send"])

    def test_in_memory(self, journals: Journals) -> None:
        """Where nobody else can be, nobody is refused."""
        journals.open("sqlite://").serve(["provision"])


@pytest.fixture
def time() -> Time:
    return Time()


@define
class Services:
    """Services of one PostgreSQL database, and flows for them."""

    url: str
    journals: Journals
    time: Time

    def open(self, *kinds: str) -> SqlJournal:
        journal = self.journals.open(self.url, **self.time.options())
        if kinds:
            journal.serve(kinds)
        return journal

    def flows(self, count: int) -> None:
        start(self.open(), *(f"flow {number}" for number in range(count)))

    def later(self) -> None:
        """Until the next count."""
        self.time.now += 2


@pytest.fixture
def services(postgres: Server, upgraded: str, journals: Journals, time: Time) -> Services:
    return Services(postgres.database(upgraded), journals, time)


class TestShares:
    def test_who_is_not_fit_to_share(self, services: Services) -> None:
        """A service that cannot load what there is leaves the shares to the others for a while."""
        one, two = services.open(*KINDS), services.open(*KINDS)
        services.flows(10)
        one.share(False)
        assert len(two.take()) == 10
        services.later()
        assert two.excess() == 0
        one.share(True)
        services.later()
        assert two.excess() == 5

    def test_taking(self, services: Services) -> None:
        """Each takes its part and no more, rounded up; the limit of a call still holds."""
        one, two = services.open(*KINDS), services.open(*reversed(KINDS))
        services.flows(11)
        assert len(one.take(limit=2)) == 2
        assert len(one.take()) == 4
        services.later()
        assert one.take() == []
        assert len(two.take()) == 5
        assert (one.excess(), two.excess()) == (0, 0)

    def test_a_newcomer(self, services: Services) -> None:
        """Who was alone gives back what is above its share, and the newcomer takes it."""
        services.flows(10)
        one = services.open(*KINDS)
        had = [flow.id for flow in one.take()]
        assert (len(had), one.excess()) == (10, 0)
        two = services.open(*KINDS)
        services.later()
        assert (one.excess(), two.excess()) == (5, 0)
        one.give_back(had[:5])
        assert one.take() == []
        assert sorted(flow.id for flow in two.take()) == had[:5]

    def test_a_successor(self, services: Services) -> None:
        """What a worker leaves behind goes to those who are there, in equal parts."""
        one, two, three = (services.open(*KINDS) for _ in range(3))
        services.flows(12)
        assert [len(each.take()) for each in (one, two, three)] == [4, 4, 4]
        three.close()
        services.later()
        assert [len(each.take()) for each in (one, two)] == [2, 2]
        two.close()
        services.later()
        assert len(one.take()) == 6

    def test_others(self, services: Services) -> None:
        """Who serves other kinds, or none, neither has a share nor takes one from others."""
        services.open("other")
        one = services.open("test")
        services.open("test", "more")
        plain = services.open()
        services.flows(6)
        assert len(plain.take(limit=2)) == 2
        assert len(one.take()) == 4
        assert (one.excess(), plain.excess()) == (0, 0)

    def test_nobody_starves(self, services: Services) -> None:
        """What another service does not take for a lease is taken beyond the share, and kept."""
        one, stuck = services.open(*KINDS), services.open(*KINDS)
        services.flows(8)
        assert len(one.take()) == 4
        stuck.requests()
        seconds = 0
        while not (taken := one.take()):
            assert one.excess() == 0
            services.later()
            seconds += 2
        assert (len(taken), seconds) == (4, 32)
        for _ in range(10):
            services.later()
            assert one.excess() == 0
        # A newcomer is another chance.
        services.open(*KINDS)
        services.later()
        assert one.excess() == 5
