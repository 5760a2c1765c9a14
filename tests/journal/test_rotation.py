"""Changing the master key: while workers run, through crashes, and without losing anything."""

import contextlib
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from holdfast_journal import KeyRing, WrongKey
from holdfast_journal.keys.files import KeyFile, add_key, key_lines
from holdfast_journal.keys.master import used_keys
from holdfast_journal.store import database as store
from holdfast_journal.store.database import Database
from holdfast_journal.upkeep import rotating
from holdfast_journal.upkeep.rotating import Rotation, key_uses
from tests.harness.waiting import until
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, at_commit, run, start

HEX, OTHER, THIRD = "ab" * 32, "cd" * 32, "ef" * 32
OLD, NEW = KeyRing.parse(HEX, "test").ids[0], KeyRing.parse(OTHER, "test").ids[0]


def ring(*keys: str) -> KeyRing:
    return KeyRing.parse(" ".join(keys), "test")


def rotate(url: str, *keys: str) -> Rotation:
    database = Database.open(url)
    try:
        return rotating.rotate(database, ring(*keys), 1.0)
    finally:
        database.close()


def key_file(folder: Path, *keys: str) -> Path:
    path = folder / "keys"
    path.write_text("# ours\n" + "\n".join(keys) + "\n")
    path.chmod(0o600)
    return path


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that Twisted's log is told meanwhile."""
    lines: list[str] = []

    def observe(entry: dict[str, object]) -> None:
        lines.append(str(entry.get("log_format", "")).format(**entry))

    globalLogPublisher.addObserver(observe)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(observe)


class TestRotate:
    def test_the_old_key_can_go(self, url: str, journals: Journals) -> None:
        """Every flow is sealed again, finished ones too; then the new key alone opens them all."""
        old = journals.open(url, keys=ring(HEX))
        ada, bob = run(old, "ada", "bob")
        ada.event(b"one")
        bob.status, bob.finished, bob.shred = "done", True, True
        bob.event()
        fay = run(old, "fay")[0]
        fay.status, fay.finished = "failed", True
        fay.event()
        mark = old.fingerprint("ada", "secret")
        old.close()
        done = rotate(url, OTHER, HEX)
        assert (done.first, done.resealed, done.forgotten, done.left) == (NEW, 2, [OLD], [])
        new = journals.open(url, keys=ring(OTHER))
        (again,) = new.take()
        assert (again.name, again.params, again.checkpoint) == ("ada", b"params of ada", b"after 1")
        assert [each.event for each in new.events(ada.taken.id)] == [b"one"]
        assert new.fingerprint("ada", "secret") == mark
        new.retry("fay", "batch")
        assert [flow.name for flow in new.take()] == ["fay"]
        with pytest.raises(WrongKey, match=NEW):
            journals.open(url, keys=ring(HEX))
        assert rotate(url, OTHER).resealed == 0

    def test_beside_a_worker(self, url: str, journals: Journals) -> None:
        """What runs goes on: its commits are not refused, and shredding is not undone."""
        journal = journals.open(url, keys=ring(HEX))
        ada, bob = run(journal, "ada", "bob")
        ada.event()
        done = rotate(url, OTHER, HEX)
        assert done.resealed == 2
        ada.event()
        bob.status, bob.finished, bob.shred = "done", True, True
        bob.event()
        assert (ada.released, bob.released, ada.lost, bob.lost) == ([1, 2], [1], [], [])
        assert journals.open(url, keys=ring(OTHER)).overview(name="bob")[0].published is None

    @pytest.mark.parametrize("url", ["sqlite"], indirect=True)
    def test_others_get_their_turn(
        self, url: str, journals: Journals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever waits for SQLite's lock gets it before the next few flows, and not at the end."""
        monkeypatch.setattr(rotating, "AT_ONCE", 1)
        monkeypatch.setattr(store, "REST", 0.5)
        start(journals.open(url, keys=ring(HEX)), "ada", "bob")
        order: list[str] = []

        def write() -> None:
            with other.writing():
                order.append("another")

        def goes_on(count: int) -> None:
            order.append(f"{count} sealed")
            if count == 1:
                another.start()

        other, another = Database.open(url), threading.Thread(target=write)
        database = Database.open(url)
        rotating.rotate(database, ring(OTHER, HEX), 1.0, goes_on=goes_on)
        another.join()
        database.close()
        other.close()
        assert order == ["1 sealed", "another", "2 sealed"]

    @pytest.mark.parametrize("url", ["postgresql"], indirect=True)
    def test_shredding_wins(self, url: str, journals: Journals) -> None:
        """A flow that is being shredded when the rotation comes to it stays shredded."""
        start(journals.open(url, keys=ring(HEX)), "ada", "bob")
        database = Database.open(url)
        done: list[Rotation] = []
        rotation = threading.Thread(target=lambda: done.append(rotate(url, OTHER, HEX)))
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with database.writing() as worker:
            ada = "UPDATE holdfast_flows SET data_key = NULL WHERE name = 'ada'"
            worker.execute(text(ada))
            rotation.start()
            until(lambda: worker.scalar(waiting), "a rotation that waits for the worker")
        rotation.join()
        with database.reading() as connection:
            kept = connection.execute(text("SELECT name, data_key FROM holdfast_flows ORDER BY 1"))
            (_, shredded), (_, resealed) = kept
        database.close()
        assert shredded is None
        assert resealed.hex().startswith(NEW)
        assert (done[0].resealed, done[0].forgotten) == (1, [OLD])

    def test_killed_at_any_moment(self, url: str, journals: Journals) -> None:
        """Killed after any of its transactions, it is finished by the next one; nothing is lost."""
        names = ["ada", "bob", "cleo"]
        journal = journals.open(url, keys=ring(HEX))
        start(journal, *names)
        for moment in range(1, 7):
            first, second = (OTHER, HEX) if moment % 2 else (HEX, OTHER)
            _killed_at(url, moment, first, second)
            both = journals.open(url, keys=ring(second, first))
            assert {flow.params for flow in both.take()} == {
                f"params of {name}".encode() for name in names
            }
            both.give_back()
            both.close()
            assert rotate(url, first, second).left == []
            database = Database.open(url)
            assert used_keys(database) == ring(first).ids
            database.close()

    def test_two_at_once(self, url: str, journals: Journals) -> None:
        """Two rotations to the same key share the work, and both come to an end."""
        names = [f"flow {number}" for number in range(30)]
        start(journals.open(url, keys=ring(HEX)), *names)
        done: list[Rotation] = []
        both = [
            threading.Thread(target=lambda: done.append(rotate(url, OTHER, HEX))) for _ in range(2)
        ]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert sum(each.resealed for each in done) == len(names)
        assert [each.left for each in done] == [[], []]
        assert len(journals.open(url, keys=ring(OTHER)).take()) == len(names)

    def test_a_flow_that_nobody_can_open(self, url: str, journals: Journals) -> None:
        """It is named and left as it is, and the old keys are still asked for."""
        journal = journals.open(url, keys=ring(HEX))
        start(journal, "ada", "bob")
        with journal._database.writing() as connection:
            ada = "SELECT data_key FROM holdfast_flows WHERE name = 'ada'"
            connection.execute(
                text(f"UPDATE holdfast_flows SET data_key = ({ada}) WHERE name = 'bob'")
            )
        done = rotate(url, OTHER, HEX)
        assert (done.resealed, done.forgotten, done.left) == (1, (), ["bob"])
        with pytest.raises(WrongKey):
            journals.open(url, keys=ring(OTHER))

    def test_without_the_old_key(self, url: str, journals: Journals) -> None:
        """With the new key alone nothing is touched."""
        start(journals.open(url, keys=ring(HEX)), "ada")
        with pytest.raises(WrongKey, match=OLD):
            rotate(url, OTHER)
        assert len(journals.open(url, keys=ring(HEX)).take()) == 1

    def test_key_uses(self, url: str, journals: Journals) -> None:
        """Each key is listed with what it seals; one that is not there is listed as missing."""
        start(journals.open(url, keys=ring(HEX)), "ada", "bob")
        start(journals.open(url, keys=ring(OTHER, HEX)), "cleo")
        database = Database.open(url)
        found = {use.id: use for use in key_uses(database, ring(OTHER, THIRD))}
        database.close()
        assert [use.flows for use in found.values()] == [1, 0, 2]
        assert [use.here for use in found.values()] == [True, True, False]
        assert (found[NEW].seals, found[OLD].noted) == (True, True)


class Killed(BaseException):
    """The process is gone, and with it the transaction that it was in."""


def _killed_at(url: str, moment: int, *keys: str) -> None:
    """Rotate until it is about to commit for the nth time, one flow a transaction."""
    left = moment

    def committing(_connection: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, at_commit(committing):
        patch.setattr(rotating, "AT_ONCE", 1)
        with contextlib.suppress(Killed):
            rotate(url, *keys)
    assert left <= 0


class TestRunningWorkers:
    def test_the_key_file_is_read_again(self, url: str, journals: Journals, folder: Path) -> None:
        """A worker with a key file follows it: it opens what is sealed again, and seals so too."""
        path = key_file(folder, HEX)
        journal = journals.open(url, keys=None, environ={"HOLDFAST_KEY_FILE": str(path)})
        start(journal, "ada", "bob")
        (ada,) = (Runner(flow) for flow in journal.take(names=["ada"]))
        ada.event()
        path.write_text(f"{OTHER}\n{HEX}\n")
        rotate(url, OTHER, HEX)
        path.write_text(f"{OTHER}\n")
        assert [flow.name for flow in journal.take()] == ["bob"]
        start(journal, "cleo")
        ada.event()
        assert ada.released == [1, 2]
        database = Database.open(url)
        assert used_keys(database) == [NEW]
        assert [use.flows for use in key_uses(database, ring(OTHER))] == [3]
        database.close()

    def test_a_key_from_the_environment(self, url: str, journals: Journals) -> None:
        """A worker that cannot know the new key leaves those flows alone, says so once, goes on."""
        journal = journals.open(url, keys=None, environ={"HOLDFAST_KEY": HEX})
        start(journal, "ada", "bob")
        (ada,) = (Runner(flow) for flow in journal.take(names=["ada"]))
        rotate(url, OTHER, HEX)
        with logged() as lines:
            assert journal.take() == []
            assert journal.take() == []
        (line,) = lines
        assert f"master key {NEW}" in line
        assert "HOLDFAST_KEY to both keys" in line
        ada.event()
        assert ada.released == [1]
        assert {row.status for row in journal.overview()} == {"new", "waiting"}
        with pytest.raises(WrongKey, match=NEW):
            start(journal, "cleo")
        start(journals.open(url, keys=ring(HEX, OTHER)), "dora")
        assert [flow.name for flow in journal.take(limit=1)] == ["dora"]
        both = journals.open(url, keys=ring(OTHER, HEX))
        assert [flow.name for flow in both.take()] == ["bob"]

    def test_a_new_key_is_used_at_once(self, url: str, journals: Journals, folder: Path) -> None:
        """From `key new` on everything new is sealed under the new key."""
        path = key_file(folder, HEX)
        journal = journals.open(url, keys=None, environ={"HOLDFAST_KEY_FILE": str(path)})
        start(journal, "ada")
        new = add_key(path)
        other = journals.open(url, keys=None, environ={"HOLDFAST_KEY_FILE": str(path)})
        start(other, "bob")
        start(journal, "cleo")
        database = Database.open(url)
        uses = key_uses(database, KeyFile(path).ring())
        database.close()
        assert [(use.id, use.flows) for use in uses] == [(new, 2), (OLD, 1)]


class TestKeyFiles:
    def test_a_new_key_in_front(self, folder: Path) -> None:
        """The new key is the first, the others and the comments stay, and so does its mode."""
        path = key_file(folder, HEX, OTHER)
        path.chmod(0o640)  # for the group that a service runs under
        name = add_key(path)
        assert list(key_lines(path).items()) == [(name, 2), (OLD, 3), (NEW, 4)]
        assert path.read_text().startswith("# ours\n")
        assert KeyFile(path).ring().ids == [name, OLD, NEW]
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert [each.name for each in folder.iterdir()] == ["keys"]

    def test_several_at_once(self, folder: Path) -> None:
        """No key is lost when several are added in the same moment."""
        path = key_file(folder, HEX)
        program = (
            "import sys; from pathlib import Path\n"
            "from holdfast_journal.keys.files import add_key\n"
            "for _ in range(20): print(add_key(Path(sys.argv[1])))"
        )
        children = [
            subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
            for _ in range(3)
        ]
        added = {word for child in children for word in child.communicate()[0].decode().split()}
        assert len(added) == 60
        assert set(key_lines(path)) == {OLD, *added}

    @pytest.mark.parametrize("content", ["", "# nothing\n", "abcd\n"])
    def test_a_file_without_a_key(self, folder: Path, content: str) -> None:
        """What is no key file is left alone."""
        path = folder / "keys"
        path.write_text(content)
        with pytest.raises(WrongKey, match="64 hex digits"):
            add_key(path)
        assert path.read_text() == content

    def test_a_file_that_is_gone_for_a_moment(
        self, url: str, journals: Journals, folder: Path
    ) -> None:
        """A worker keeps the keys that it has when the file cannot be read."""
        path = key_file(folder, HEX)
        journal = journals.open(url, keys=None, environ={"HOLDFAST_KEY_FILE": str(path)})
        start(journal, "ada")
        said: list[str] = []

        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "holdfast_journal.keys.ring":
                said.append(str(formatEvent(event)))

        globalLogPublisher.addObserver(observe)
        try:
            path.unlink()
            assert [flow.name for flow in journal.take()] == ["ada"]
            journal.take()
        finally:
            globalLogPublisher.removeObserver(observe)
        [line] = said
        assert str(path) in line and "is used" in line


def test_fingerprints_of_the_first_release(url: str, journals: Journals) -> None:
    """They are what they were, after a new key, a rotation and the end of the old key."""
    journal = journals.open(url, keys=ring(HEX))
    start(journal, "ada")
    with journal._database.writing() as connection:  # as the first release left it
        connection.execute(text("UPDATE holdfast_keys SET fingerprint_key = NULL"))
    journal.close()
    wanted = "10da6a695bc0e14b50d28fa585998f74"  # by the first release
    assert journals.open(url, keys=ring(OTHER, HEX)).fingerprint("secret", "s3cret") == wanted
    assert (
        journals.open(url, keys=ring(THIRD, OTHER, HEX)).fingerprint("secret", "s3cret") == wanted
    )
    rotate(url, OTHER, HEX)
    assert journals.open(url, keys=ring(OTHER)).fingerprint("secret", "s3cret") == wanted
