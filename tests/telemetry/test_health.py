"""When a worker is unwell, and when it is unready: two questions that must not be mixed up."""

from typing import Any

import pytest
from attrs import define, evolve

from holdfast.operating.health import STANDS_STILL, WorkerHealth
from holdfast_journal import SqlJournal, Vitals

WELL = Vitals(
    worker=1,
    lease_left=20.0,
    lapses=0,
    usable=True,
    commits_waiting=3,
    bytes_waiting=300,
    writing_for=0.1,
)


@define
class Journal:
    """One whose vitals are as the test says."""

    now: Vitals

    def vitals(self) -> Vitals:
        return self.now


@pytest.mark.parametrize(
    ("change", "unwell", "unready"),
    [
        ({}, False, False),
        ({"lease_left": None}, False, False),  # a database in memory
        ({"usable": False}, False, True),
        ({"lease_left": 0.0}, False, True),
        ({"worker": None, "lease_left": None}, False, True),
        ({"writing_for": STANDS_STILL}, False, False),
        ({"writing_for": STANDS_STILL + 1}, True, False),
        ({"writing_for": STANDS_STILL + 1, "usable": False}, True, True),
    ],
)
def test_a_worker(change: dict[str, Any], unwell: bool, unready: bool) -> None:
    """Only a writer that stands still is mended by another process; the rest is waited for."""
    health = WorkerHealth(Journal(evolve(WELL, **change)))  # type: ignore[arg-type]
    assert (health.unwell() is not None) is unwell
    assert (health.unready() is not None) is unready
    health.stopping = True
    assert health.unready() == "stopping"


def test_a_journal(tmp_path: Any) -> None:
    """Its vitals follow its lease and what is said of its database."""
    now = [100.0]
    url = f"sqlite:///{tmp_path}/journal.db"
    journal = SqlJournal.open_inline(url, uptime=lambda: now[0], lease=30.0, environ={})
    health = WorkerHealth(journal)
    assert health.unready() == "the database was not looked into yet"
    journal.take()
    assert health.unready() is None
    assert journal.vitals().lease_left == 30.0
    now[0] += 40.0
    assert "lease has run out" in str(health.unready())
    journal.requests()  # renews it
    assert (health.unready(), journal.vitals().lease_left) == (None, 30.0)
    journal.pressure.fails("somebody", "it does not answer")
    assert health.unready() == "the database cannot be used now"
    journal.pressure.answers("somebody")
    assert health.unready() is None
    journal.close()
