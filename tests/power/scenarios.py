"""What is recorded, and what must hold whenever the power is cut in it.

`journal` stands for everything that runs flows: its commits go through SqlJournal and its writer
thread into an SQLite file, as those of `holdfast` do, and what is released is marked where the
writer makes the calls that put frames on sockets. It makes more commits a second than people who
collect secrets; `exchange` and `receive` are such people, with the real command and real peers.
"""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen

from holdfast_journal.store.database import Database
from holdfast_journal.store.upgrading import upgrade
from tests.harness.aftermath import codes_in
from tests.harness.peers import StockReceivers
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.journal.postgres import memory
from tests.power import checks
from tests.power.disk import State, states
from tests.power.programs import WEAK
from tests.power.recording import Recording, python, record

PROGRAMS = "tests.power.programs"


@frozen
class Scenario:
    """One recording, and the check of its states."""

    recording: Recording
    check: checks.Check


@define
class Verdict:
    """How many states were looked at, and what is wrong with how many of them."""

    name: str
    states: int = 0
    bad: list[str] = field(factory=list)

    def __str__(self) -> str:
        return f"{self.name}: {len(self.bad)} bad of {self.states} states"


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that costs little to write to."""
    with tempfile.TemporaryDirectory(prefix="holdfast-power-", dir=memory()) as folder:
        yield Path(folder)


def judge(name: str, scenario: Scenario, most: int | None = None, seed: int = 0) -> Verdict:
    """Look at all the states of a scenario, or a sample of so many."""
    verdict = Verdict(name)
    with workplace() as folder:
        for number, state in enumerate(states(scenario.recording, seed, most)):
            place = folder / str(number)
            place.mkdir()
            state.put(place)
            found = scenario.check(state, place)
            shutil.rmtree(place)
            verdict.states += 1
            if found:
                verdict.bad.append(f"{state.how}: {'; '.join(found)}")
    return verdict


def journal(folder: Path, weak: str = "", rounds: int = 25) -> Scenario:
    """Flows in a database that was made before; two lives."""
    root = _root(folder)
    database = Database.open(f"sqlite:///{root / 'journal.db'}")
    upgrade(database)
    database.close()
    program = python(PROGRAMS, "journal", str(rounds))
    return Scenario(record(root, program, **{WEAK: weak}), checks.check_journal)


def new(folder: Path, weak: str = "") -> Scenario:
    """A database that is made, with its directories and its key."""
    name = "state/holdfast/journal.db"
    root = _root(folder)
    recording = record(root, python(PROGRAMS, "new", root / name), **{WEAK: weak})
    return Scenario(recording, lambda state, place: checks.check_journal(state, place, name))


def files(folder: Path, weak: str = "") -> Scenario:
    """A file that is written whole several times."""
    return Scenario(
        record(_root(folder), python(PROGRAMS, "files"), **{WEAK: weak}), checks.check_files
    )


def upgraded(folder: Path, recorded: Path, weak: str = "", opened: int = 1) -> Scenario:
    """A database of an older release, in the folder `recorded`, that is upgraded.

    Each `opened`th state is opened as by a command, which takes half a second.
    """
    name = "journal.sqlite"
    root = _root(folder)
    for each in (name, f"{name}.key"):
        shutil.copy(recorded / each, root)
    before = checks.dump(root / name)
    recording = record(root, python(PROGRAMS, "upgrade", root / name), **{WEAK: weak})
    numbers = itertools.count()

    def check(state: State, place: Path) -> list[str]:
        opens = next(numbers) % opened == 0
        return checks.check_upgrade(state, place, name, before, opens=opens)

    return Scenario(recording, check)


def exchange(folder: Path, weak: str = "", people: int = 6) -> Scenario:
    """`holdfast provision --codes`, whose people collect their secrets with the stock client."""
    root = _root(folder)
    names = [f"person {number}" for number in range(people)]
    rows = "".join(f"{name},secret of {name}\n" for name in names)
    (folder / "people.csv").write_text(f"name,secret\n{rows}")
    words = ["provision", str(folder / "people.csv"), "--codes", "codes.csv"]
    with MailboxServer(folder) as server, StockReceivers(server.url) as peers:

        def collect() -> None:
            until(lambda: len(codes_in(root / "codes.csv")) == people, "all codes")
            for name, code in codes_in(root / "codes.csv").items():
                peers.receive(code, name)

        recording = _while(collect, root, words, server.url, weak)
        assert all(each.ok for each in peers.wait_all().values())
    return Scenario(recording, checks.all_of(checks.check_journal, checks.check_files))


def receive(folder: Path, weak: str = "") -> Scenario:
    """`holdfast receive --out` of what the stock client sends."""
    root = _root(folder)
    code = "7-guitarist-revenge"
    words = ["receive", code, "--out", "secret.csv"]
    with MailboxServer(folder) as server, StockReceivers(server.url) as peers:
        recording = _while(
            lambda: peers.send(code, "a secret " * 500), root, words, server.url, weak
        )
        assert peers.wait(code).ok
    return Scenario(recording, checks.all_of(checks.check_journal, checks.check_files))


def _while(
    act: Callable[[], object], root: Path, words: Sequence[str], relay: str, weak: str
) -> Recording:
    """Record a `holdfast` command while somebody acts."""
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        try:
            return record(
                root,
                python(PROGRAMS, "holdfast", *words),
                HOLDFAST_RELAY=relay,
                HOLDFAST_DB=f"sqlite:///{root / 'journal.db'}",
                HOME=str(root),
                **{WEAK: weak},
            )
        finally:
            acting.result()


def _root(folder: Path) -> Path:
    root = folder / f"root-{len(list(folder.iterdir()))}"
    root.mkdir()
    return root
