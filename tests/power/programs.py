"""Run under strace: real users of files and journals, which say in `MARKS` what they release.

    python -m tests.power.programs NAME ARGUMENTS...

POWER_WEAK says how they are to be broken, which the checks must notice: `normal`, SQLite syncs its
log only when it copies it into the database; `unsynced`, nothing but SQLite syncs; `careless`,
a database that is to be upgraded is copied as anybody would.
"""

import functools
import hashlib
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from holdfast import files
from holdfast_journal import NewFlow, Snapshot, SqlJournal, TakenFlow
from holdfast_journal.commits import threaded
from holdfast_journal.store import database
from holdfast_journal.upkeep import opening
from tests.journal.helpers import ManualReactor
from tests.power.recording import MARKS

WEAK = "POWER_WEAK"
PEOPLE = 8
URL = "sqlite:///journal.db"


@functools.cache
def _marks() -> int:
    return os.open(os.environ[MARKS], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def mark(text: str) -> None:
    """Say that this is released now."""
    os.write(_marks(), f"{text}\n".encode())


def digest(data: bytes) -> str:
    """What stands for a file's content in a mark."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def weaken() -> None:
    """Be less careful, if we are asked to."""
    wanted = os.environ.get(WEAK, "").split()
    if "normal" in wanted:
        strong = database.sqlite_engine

        def weak(url: Any) -> Any:
            engine = strong(url)
            event.listen(
                engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=NORMAL")
            )
            return engine

        database.sqlite_engine = weak
    if "unsynced" in wanted:
        os.fsync = lambda fd: None
    if "careless" in wanted:

        def copied(path: Path, revision: str, now: float) -> Path:
            copy = path.with_name(f"{path.name}.{revision}.copy")
            copy.write_bytes(path.read_bytes())
            return copy

        opening.keep_copy = copied  # type: ignore[attr-defined]


def mark_releases() -> None:
    """Mark each commit of a flow when its calls are made: first of all of them."""
    submit = threaded.ThreadedWriter.submit

    def submitting(self: threaded.ThreadedWriter, commit: Any) -> None:
        here = functools.partial(mark, f"entry {commit.fence.id} {commit.seq}")
        commit.calls = [here, *commit.calls]
        submit(self, commit)

    threaded.ThreadedWriter.submit = submitting  # type: ignore[method-assign]


def mark_files(module: Any) -> None:
    """Mark each file that a module has written whole."""
    write = module.write_whole

    def writing(path: Path, data: bytes, **options: Any) -> None:
        write(path, data, **options)
        mark(f"file {Path(path).name} {digest(data)}")

    module.write_whole = writing


def use_journal(rounds: int) -> None:
    """Two lives of a process that runs flows; the first is killed."""
    mark_releases()
    for life, last in ((1, False), (2, True)):
        child = os.fork()
        if not child:
            _live(life, last, rounds)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def _live(life: int, last: bool, rounds: int) -> None:
    rng, reactor = random.Random(life), ManualReactor()
    journal = SqlJournal.open(URL, reactor=reactor, environ={})
    names = [f"person {number} of life {life}" for number in range(PEOPLE)]
    journal.start_flows(f"life {life}", [NewFlow(name, "test", b"secret") for name in names])
    for name in names:
        mark(f"started {name}")
    flows = [Flow(each) for each in journal.take()]
    for number in range(rounds):
        for flow in rng.sample(flows, rng.randint(1, PEOPLE)):
            flow.happen(rng, over=last and number == rounds - 1)
        if number < rounds - 1 or last:
            before = sum(flow.released for flow in flows)
            reactor.until(lambda: sum(flow.released for flow in flows) > before)  # noqa: B023
        else:
            reactor.turn()  # and dies while it is written
    if last:
        stopped = journal.stop()
        reactor.until(lambda: stopped.called)
        journal.give_back()
        journal.close()


class Flow:
    """A flow that things happen to."""

    def __init__(self, taken: TakenFlow) -> None:
        self.released = 0
        self._taken = taken
        self._state = b""
        self._over = False
        taken.journal.attach(self._snapshot)

    def happen(self, rng: random.Random, *, over: bool) -> None:
        """One event: what it says, what is known after it, and an application's own task."""
        self._over = over
        with self._taken.journal.process():
            self._state = rng.randbytes(rng.choice((300, 2000, 9000)))
            self._taken.journal.record("message", heard="it", said=["this"], event=self._state[:99])
            self._taken.journal.queue_outbound(self._release)

    def _snapshot(self) -> Snapshot:
        return Snapshot("done" if self._over else "waiting", self._state, {}, self._over, False)

    def _release(self) -> None:
        self.released += 1


def use_new_database(path: str) -> None:
    """Make a database where not even its directory is, and start a flow in it."""
    journal = SqlJournal.open_inline(f"sqlite:///{path}", make_parents=True, environ={})
    journal.start_flows("batch", [NewFlow("ada", "test", b"secret")])
    mark("started ada")
    journal.close()


def upgrade(path: str) -> None:
    """Open a database of an older release."""
    journal = SqlJournal.open_inline(f"sqlite:///{path}", environ={})
    assert journal.kept_copy is not None
    mark(f"copied {journal.kept_copy.name}")
    journal.close()


def write_files() -> None:
    """Write a file whole, again and again."""
    mark_files(files)
    for size in (100, 9000, 3000, 0, 5000):
        files.write_whole(Path("codes.csv"), random.Random(size).randbytes(size))


def command(*words: str) -> None:
    """Be the `holdfast` command."""
    from holdfast.cli.main import main
    from holdfast.flows.shipped import writing
    from holdfast.operating import codes_file

    mark_releases()
    mark_files(codes_file)
    mark_files(writing)
    sys.argv = ["holdfast", *words]
    main()


PROGRAMS: dict[str, Callable[..., None]] = {
    "journal": lambda rounds: use_journal(int(rounds)),
    "new": use_new_database,
    "upgrade": upgrade,
    "files": write_files,
    "holdfast": command,
}

if __name__ == "__main__":
    _marks()
    weaken()
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
