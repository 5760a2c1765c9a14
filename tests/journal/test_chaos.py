"""Four workers on PostgreSQL, killed and paused at random: each flow is finished exactly once."""

import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, field
from sqlalchemy import text

from holdfast_journal import KeyRing, SqlJournal
from holdfast_journal.store.database import Database
from tests.harness.process import Child
from tests.harness.waiting import until
from tests.journal import chaos_worker
from tests.journal.conftest import Journals
from tests.journal.helpers import start
from tests.journal.postgres import Server

pytestmark = pytest.mark.long

KEY = "ab" * 32
FLOWS = 500
EVENTS = 4
WORKERS = 4
KILLS = 4
PAUSES = 4
LEASE = 0.8
THEIRS = """
SELECT flow.name FROM holdfast_flows AS flow JOIN holdfast_workers AS worker
ON flow.owner = worker.id WHERE worker.pid = {}
"""


@define
class Effect:
    """A line of the trace."""

    flow: str
    epoch: int
    number: int
    pid: int


@define
class Workers:
    """Worker processes of one database, and what they released."""

    url: str
    trace: Path
    running: list[Child] = field(factory=list)

    def start(self) -> None:
        arguments = [self.url, KEY, str(self.trace), str(LEASE), str(EVENTS)]
        self.running.append(Child([sys.executable, chaos_worker.__file__, *arguments]))

    def kill(self, worker: Child) -> None:
        self.running.remove(worker)
        worker.close()

    def released(self) -> list[Effect]:
        """What was released, in order."""
        return [Effect(*json.loads(line)) for line in self.trace.read_bytes().splitlines()]

    def until(self, question: Callable[[], bool], what: str) -> None:
        """Wait for something that running workers bring about."""
        until(lambda: bool(self.failed()) or question(), what, timeout=120)
        assert not self.failed(), self.failed()

    def failed(self) -> str:
        """What was said by workers that ended of themselves."""
        return "\n".join(each.describe() for each in self.running if not each.alive)


@define
class Progress:
    """Whether so much was released."""

    workers: Workers
    effects: float

    def __call__(self) -> bool:
        return self.workers.trace.read_bytes().count(b"\n") >= self.effects


@define
class Over:
    """Whether a worker's lease is over."""

    journal: SqlJournal
    pid: int

    def __call__(self) -> bool:
        return not any(each.alive for each in self.journal.workers() if each.pid == self.pid)


@define
class TakenOver:
    """Whether others have gone on with all these flows."""

    workers: Workers
    pid: int
    flows: set[object]
    since: int
    """Effects that were there before."""

    def __call__(self) -> bool:
        effects = self.workers.released()[self.since :]
        return self.flows <= {each.flow for each in effects if each.pid != self.pid}


@define
class Done:
    """Whether all flows are."""

    journal: SqlJournal

    def __call__(self) -> bool:
        return set(self.journal.counts()) == {"done"}


@pytest.fixture
def database(postgres: Server, upgraded: str) -> Iterator[Database]:
    """A database with a table of the application's own, which refuses nothing."""
    url = postgres.database(upgraded)
    made = Database.open(url)
    with made.writing() as connection:
        connection.execute(text("CREATE TABLE applied (flow text, number int)"))
    yield made
    made.close()


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[Workers]:
    (tmp_path / "trace").touch()
    made = Workers(database.engine.url.render_as_string(hide_password=False), tmp_path / "trace")
    yield made
    for worker in tuple(made.running):
        made.kill(worker)


def rows(database: Database, query: str) -> list[object]:
    """The first column of what a query finds."""
    with database.reading() as connection:
        return list(connection.scalars(text(query)))


def test_killed_and_paused_at_random(
    database: Database, workers: Workers, journals: Journals
) -> None:
    """Each flow is finished once, and no effect is released twice, or by who is not its runner.

    (Some are never released, since these workers do not repeat what a killed one left undone.)
    A paused worker may release one effect late: nothing can tell a process that it was stopped
    after it had asked for its lease and before it did what it asked for.
    """
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    journals.keys = KeyRing.parse(KEY, "test")
    journal = journals.open(workers.url)
    names = [f"flow {number}" for number in range(FLOWS)]
    start(journal, *names)
    for _ in range(WORKERS):
        workers.start()
    pauses: Counter[int] = Counter()
    strikes = chance.sample(["kill"] * KILLS + ["pause"] * PAUSES, KILLS + PAUSES)
    for number, strike in enumerate(strikes, 1):
        # At random, and yet over the whole length of the work.
        part = (number - chance.random()) / (len(strikes) + 1)
        workers.until(Progress(workers, part * FLOWS * EVENTS), "some more work")
        victim = chance.choice(workers.running)
        if strike == "kill":
            workers.kill(victim)
            workers.start()
        else:
            victim.signal(signal.SIGSTOP)
            flows = rows(database, THEIRS.format(victim.pid))
            taken_over = TakenOver(workers, victim.pid, set(flows), len(workers.released()))
            workers.until(Over(journal, victim.pid), "the end of its lease")
            if chance.random() < 0.5:
                workers.until(taken_over, "its successors")
            victim.signal(signal.SIGCONT)
            pauses[victim.pid] += 1
    workers.until(Done(journal), "the end of all flows")

    released = workers.released()
    runners: dict[tuple[str, int], set[int]] = {}
    latest: Counter[str] = Counter()
    late: Counter[int] = Counter()
    for effect in released:
        runners.setdefault((effect.flow, effect.epoch), set()).add(effect.pid)
        late[effect.pid] += effect.epoch < latest[effect.flow]
        latest[effect.flow] = max(effect.epoch, latest[effect.flow])
    assert [each for each in runners.values() if len(each) != 1] == []
    assert late - pauses == Counter(), "released after another had taken over"
    assert max(Counter((each.flow, each.number) for each in released).values()) == 1
    with database.reading() as connection:
        applied = connection.execute(text("SELECT flow, number FROM applied")).all()
    assert sorted(map(tuple, applied)) == sorted(
        (name, number) for name in names for number in range(1, EVENTS + 1)
    )
    entries = rows(database, "SELECT count(*) FROM holdfast_entries GROUP BY flow_id")
    assert entries == [EVENTS] * FLOWS
