"""What must hold after a power cut: each answers with what does not, one line for each thing."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from holdfast_journal import DatabaseUnusable, SqlJournal, WrongKey
from holdfast_journal.store.schema import REVISIONS, VERSION_TABLE
from tests.power.disk import State
from tests.power.programs import digest

Check = Callable[[State, Path], list[str]]
"""Is given a state and a folder in which it was put."""


def check_journal(state: State, folder: Path, name: str = "journal.db") -> list[str]:
    """The database opens with the key beside it, is whole, and has all that was released."""
    seqs: dict[int, int] = {}
    started = set()
    for text in state.released:
        kind, _, rest = text.partition(" ")
        if kind == "entry":
            number, seq = map(int, rest.split())
            seqs[number] = max(seq, seqs.get(number, 0))
        elif kind == "started":
            started.add(rest)
    try:
        journal = SqlJournal.open_inline(
            f"sqlite:///{folder / name}", make_parents=True, environ={}
        )
    except (DatabaseUnusable, WrongKey) as error:
        return [f"it does not open: {error}"]
    try:
        bad = [f"{each.check}: {each.what}" for each in journal.checks.database()]
        there = set()
        for flow in journal.checks.flows():
            # Everything that is sealed was opened for this, the checkpoint among it.
            bad += [f"{flow.name}: {each.what}" for each in flow.findings]
            there.add(flow.name)
            wanted, seq = seqs.pop(flow.id, 0), flow.seq
            # Those of a flow that is shredded have rows, and cannot be opened.
            entries = journal.history(flow.id) if flow.shredded else flow.entries
            found = {each.seq for each in entries}
            if seq < wanted or not found >= set(range(1, wanted + 1)):
                bad.append(f"{flow.name}: {wanted} was released, and {seq} is what is there")
        bad += [f"{lost} is lost, and {seq} of it was released" for lost, seq in seqs.items()]
        bad += [f"{each} was started, and is not there" for each in sorted(started - there)]
    finally:
        journal.close()
    return bad


def check_files(state: State, folder: Path) -> list[str]:
    """A file is as it was last released, or as it was written next; whole in any case."""
    bad = []
    known, versions = _contents(state.released), _contents(state.later)
    for name in {*known, *(path.name for path in folder.glob("*.csv"))}:
        count = len(known.get(name, ()))
        path = folder / name
        if path.exists():
            # The next one may be there before its writer has said so.
            allowed = versions[name][max(count - 1, 0) : count + 1]
            if digest(path.read_bytes()) not in allowed:
                bad.append(f"{name} is neither what was released last nor what came then")
        elif count:
            bad.append(f"{name} is lost")
    return bad


def _contents(released: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The contents of files that were released, in order."""
    found: dict[str, list[str]] = {}
    for text in released:
        kind, _, rest = text.partition(" ")
        if kind == "file":
            name, _, content = rest.rpartition(" ")
            found.setdefault(name, []).append(content)
    return found


def dump(path: Path) -> Sequence[str]:
    """What is in a database, in order."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def revision(path: Path) -> str | None:
    """The schema of a database; None if it has none yet."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
        except sqlite3.OperationalError:
            return None
        return None if found is None else str(found[0])


def check_upgrade(
    state: State, folder: Path, name: str, before: Sequence[str], *, opens: bool = True
) -> list[str]:
    """A copy is whole, and is there as soon as the database is no longer what it was.

    `before` is the dump of the database of the older release. `opens`: that the newer opens it.
    """
    bad = []
    path = folder / name
    copies = sorted(folder.glob("*.copy"))
    for copy in copies:
        if _damage(copy):
            bad.append(f"{copy.name} is damaged: {_damage(copy)}")
        elif dump(copy) != before:
            bad.append(f"{copy.name} is not what the database was")
    if damage := _damage(path):
        return [*bad, f"the database is damaged: {damage}"]
    if revision(path) == REVISIONS[-1]:
        if not copies:
            bad.append("the database is of the new release, and there is no copy")
    elif dump(path) != before:
        bad.append("the database is of neither release")
    for text in state.released:
        if text.startswith("copied ") and text.removeprefix("copied ") not in {
            each.name for each in copies
        }:
            bad.append("the copy that the operator was told of is lost")
    return bad + (check_journal(state, folder, name) if opens else [])


def _damage(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == ["ok"] else str(found[0])


def all_of(*checks: Check) -> Check:
    """One check after another."""
    return lambda state, folder: [each for check in checks for each in check(state, folder)]
