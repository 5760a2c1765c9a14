"""Sealing: what is at rest says nothing, cannot be moved, and is gone when its key is."""

import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from holdfast_journal import (
    KeyRing,
    Shredded,
    SqlJournal,
    Unreadable,
    WrongKey,
)
from holdfast_journal.keys.ring import fingerprint
from holdfast_journal.keys.sealer import Sealer
from holdfast_journal.keys.sealing import KEY_BYTES, new_key, unseal
from holdfast_journal.store.database import Database
from tests.journal.conftest import Journals
from tests.journal.helpers import at_once, run, start

SECRET = b"correct-horse-battery-staple"
HEX = "ab" * 32
OTHER = "cd" * 32


def execute(url: str, statement: str) -> None:
    """Do to the database what somebody with access to it could do."""
    database = Database.open(url)
    with database.writing() as connection:
        connection.execute(text(statement))
    database.close()


def swap(url: str, column: str) -> None:
    """Give bob what is ada's."""
    ada = f"SELECT {column} FROM holdfast_flows WHERE name = 'ada'"
    execute(url, f"UPDATE holdfast_flows SET {column} = ({ada}) WHERE name = 'bob'")


class TestAtRest:
    def test_files_are_private(self, tmp_path: Path, journals: Journals) -> None:
        """Every file that a journal makes is for its owner only, whatever the umask."""
        before = os.umask(0)
        try:
            journal = SqlJournal.open_inline(
                f"sqlite:///{tmp_path}/a/journal.db", make_parents=True, environ={}
            )
            journals.opened.append(journal)
            run(journal, "ada")[0].event()
        finally:
            os.umask(before)
        for path in [tmp_path / "a", *(tmp_path / "a").iterdir()]:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path.name

    @pytest.mark.parametrize("column", ["params", "checkpoint", "data_key"])
    def test_a_value_of_another_flow_does_not_open(
        self, url: str, journals: Journals, column: str
    ) -> None:
        """Copying a sealed value from one flow to another makes an error, not a mix-up."""
        journal = journals.open(url)
        for runner in run(journal, "ada", "bob"):
            runner.event()
        swap(url, column)
        journal.give_back()
        assert [flow.name for flow in journal.take()] == ["ada"]
        (bob,) = journal.overview(name="bob")
        assert (bob.status, bob.owner, bob.finished_at is None) == ("damaged", None, False)
        assert "altered or moved" in journal.history(bob.id)[-1].heard
        assert journal.take() == []

    def test_what_another_flow_shows_does_not_open(self, url: str, journals: Journals) -> None:
        """Copied published values are told as altered, and hide no other flow."""
        journal = journals.open(url)
        for runner in run(journal, "ada", "bob"):
            runner.event()
        swap(url, "published")
        ada, bob = journal.overview()
        assert ada.published is not None
        assert "reason" not in ada.published
        assert bob.published is not None
        assert "altered or moved" in str(bob.published["reason"])

    def test_events_cannot_change_places(self, url: str, journals: Journals) -> None:
        """Two entries that were swapped do not open."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        ada.event(b"pay 1")
        ada.event(b"pay 100")
        execute(url, "UPDATE holdfast_entries SET seq = 99 WHERE seq = 1")
        execute(url, "UPDATE holdfast_entries SET seq = 1 WHERE seq = 2")
        execute(url, "UPDATE holdfast_entries SET seq = 2 WHERE seq = 99")
        with pytest.raises(Unreadable, match="event 1 of flow"):
            journal.events(ada.taken.id)

    def test_shredded(self, url: str, journals: Journals) -> None:
        """After shredding the history keeps its shape and nobody can read what it was about."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", SECRET, "key", 0.0)
        ada.event(SECRET)
        ada.status, ada.finished, ada.shred = "done", True, True
        ada.event()
        assert ada.released == [1, 2]
        with pytest.raises(Shredded):
            journal.events(ada.taken.id)
        (row,) = journal.overview()
        assert (row.status, row.published) == ("done", None)
        kinds = [row.kind for row in journal.history(ada.taken.id)]
        assert kinds == ["change", "message", "message"]
        database = Database.open(url)
        with database.reading() as connection:
            left = connection.execute(
                text("SELECT data_key, params, checkpoint, published FROM holdfast_flows")
            ).one()
            tasks = connection.execute(text("SELECT count(*) FROM holdfast_tasks")).scalar()
        database.close()
        assert tuple(left) == (None, None, None, None)
        assert tasks == 0


class TestSealer:
    def test_libsodium_opens_what_it_seals(self) -> None:
        """A sealer's values are what they always were: XChaCha20-Poly1305, bound to their place."""
        for key in (bytes(KEY_BYTES), b"\xff" * KEY_BYTES, new_key()):
            sealer = Sealer("ada", key)
            for size in (0, 1, 63, 64, 65, 5000):
                sealed = sealer.seal("event", size, bytes(size))
                assert unseal(key, "ada", "event", size, sealed) == bytes(size)
                with pytest.raises(Unreadable):
                    unseal(key, "ada", "event", size + 1, sealed)

    def test_no_nonce_comes_twice(self) -> None:
        """Neither under one sealer, from whatever threads, nor under two of the same flow."""
        key = new_key()
        sealers = [Sealer("ada", key), Sealer("ada", key)]
        nonces: list[bytes] = []

        def work() -> None:
            for sealer in sealers * 300:
                nonces.append(sealer.seal("event", 1, b"")[:24])

        at_once([work, work])
        assert len(set(nonces)) == len(nonces) == 1200


class TestKeys:
    def test_a_key_file_is_made_once(self, tmp_path: Path, journals: Journals) -> None:
        """The first opening makes a private key file and says so; the next one uses it."""
        url = f"sqlite:///{tmp_path}/journal.db"
        first = journals.open(url, keys=None)
        assert first.made_key == tmp_path / "journal.db.key"
        assert first.made_key.stat().st_mode & 0o777 == 0o600
        run(first, "ada")[0].event(SECRET)
        second = journals.open(url, keys=None)
        assert second.made_key is None
        assert second.events(1)[0].event == SECRET

    def test_a_missing_key_file(self, tmp_path: Path, journals: Journals) -> None:
        """A database that was sealed does not get a new key when its own is missing."""
        url = f"sqlite:///{tmp_path}/journal.db"
        journal = journals.open(url, keys=None)
        start(journal, "ada")
        journal.close()
        (tmp_path / "journal.db.key").unlink()
        with pytest.raises(WrongKey, match="missing"):
            journals.open(url, keys=None)
        assert not (tmp_path / "journal.db.key").exists()

    def test_the_wrong_key_touches_nothing(self, url: str, journals: Journals) -> None:
        """With another key the database does not open, and stays as it was."""
        journal = journals.open(url)
        start(journal, "ada")
        before = journal.overview()
        with pytest.raises(WrongKey, match="another master key"):
            journals.open(url, keys=KeyRing.random())
        assert journal.overview() == before

    def test_two_first_keys(self, url: str, journals: Journals) -> None:
        """Of two that open an empty database with different keys only one can use it."""
        first, second = journals.open(url), journals.open(url, keys=KeyRing.random())
        start(first, "ada")
        with pytest.raises(WrongKey):
            start(second, "bob")
        assert [row.name for row in first.overview()] == ["ada"]

    def test_changing_the_key(self, url: str, journals: Journals) -> None:
        """A new key in front of the old one seals new flows; old flows and fingerprints stay."""
        old = journals.open(url, keys=KeyRing.parse(HEX, "test"))
        start(old, "ada")
        fingerprint = old.fingerprint("ada", "secret")
        new = journals.open(url, keys=KeyRing.parse(f"{OTHER} {HEX}", "test"))
        start(new, "bob")
        assert [flow.params for flow in new.take()] == [b"params of ada", b"params of bob"]
        assert new.fingerprint("ada", "secret") == fingerprint
        for text_ in (HEX, OTHER):
            with pytest.raises(WrongKey):
                journals.open(url, keys=KeyRing.parse(text_, "test"))

    def test_from_the_environment(self, tmp_path: Path, journals: Journals) -> None:
        """HOLDFAST_KEY and HOLDFAST_KEY_FILE give the key, and no key file is made."""
        url = f"sqlite:///{tmp_path}/journal.db"
        key_file = tmp_path / "keys"
        key_file.write_text(f"# ours\n{HEX}  # first\n")
        first = journals.open(url, keys=None, environ={"HOLDFAST_KEY_FILE": str(key_file)})
        start(first, "ada")
        second = journals.open(url, keys=None, environ={"HOLDFAST_KEY": HEX})
        assert len(second.take()) == 1
        assert second.made_key is None
        assert not (tmp_path / "journal.db.key").exists()

    @pytest.mark.parametrize("content", ["", "abcd", HEX + "z", f"{HEX} nonsense", "\xff"])
    def test_malformed_keys(self, tmp_path: Path, journals: Journals, content: str) -> None:
        """A malformed key is one clear line that does not repeat it, and no database is made."""
        key_file = tmp_path / "keys"
        key_file.write_bytes(content.encode("latin-1"))
        url = f"sqlite:///{tmp_path}/journal.db"
        with pytest.raises(WrongKey, match="64 hex digits") as caught:
            journals.open(url, keys=None, environ={"HOLDFAST_KEY_FILE": str(key_file)})
        assert HEX not in str(caught.value)
        assert not (tmp_path / "journal.db").exists()

    def test_an_unreadable_key_file(self, tmp_path: Path, journals: Journals) -> None:
        """A key file that is not there is named."""
        with pytest.raises(WrongKey, match=r"nowhere.*No such file"):
            journals.open(
                "sqlite://", keys=None, environ={"HOLDFAST_KEY_FILE": str(tmp_path / "nowhere")}
            )

    def test_keys_stay_out_of_reprs(self, journals: Journals) -> None:
        """No repr shows a key or a parameter."""
        ring = KeyRing.parse(HEX, "test")
        journal = journals.open("sqlite://", keys=ring)
        (ada,) = run(journal, "ada")
        shown = repr((ring, journal, ada.taken, ada.taken.journal, ada.snapshot()))
        key = bytes.fromhex(HEX)
        assert HEX not in shown
        assert repr(key)[2:20] not in shown
        assert "params of" not in shown

    def test_fingerprints_keep_their_parts_apart(self) -> None:
        """("ab", "c") and ("a", "bc") are different, and another key says nothing."""
        key, other = bytes.fromhex(HEX), bytes.fromhex(OTHER)
        assert fingerprint(key, "ab", "c") != fingerprint(key, "a", "bc")
        assert fingerprint(key, "a") != fingerprint(other, "a")
