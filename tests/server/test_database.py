"""The server's database file."""

import stat
from pathlib import Path

import pytest
from wormhole_mailbox_server.database import create_or_upgrade_channel_db

from holdfast.server import DatabaseUnusable
from holdfast.server.database import open_database


def test_a_committed_message_survives_a_power_cut(tmp_path: Path) -> None:
    """Every commit is on the disk before anybody is told of it."""
    database = open_database(tmp_path / "m.sqlite", create_or_upgrade_channel_db)
    read = database.connection.execute
    assert read("PRAGMA journal_mode").fetchone()["journal_mode"] == "wal"
    assert read("PRAGMA synchronous").fetchone()["synchronous"] == 2
    database.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The file and the folder made for it are their owner's alone."""
    path = tmp_path / "new" / "m.sqlite"
    open_database(path, create_or_upgrade_channel_db).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_server_is_kept_off_it(tmp_path: Path) -> None:
    """Two servers on one file would not hear of each other's messages."""
    path = tmp_path / "m.sqlite"
    first = open_database(path, create_or_upgrade_channel_db)
    with pytest.raises(DatabaseUnusable, match="another mailbox server is using it"):
        open_database(path, create_or_upgrade_channel_db)
    first.close()
    open_database(path, create_or_upgrade_channel_db).close()


def test_a_second_server_is_kept_off_it_by_any_name(tmp_path: Path) -> None:
    """The lock is the file's: a link to it is no way around, and a second name is refused."""
    path, link = tmp_path / "m.sqlite", tmp_path / "link" / "other.sqlite"
    link.parent.mkdir()
    link.symlink_to(path)
    first = open_database(link, create_or_upgrade_channel_db)
    with pytest.raises(DatabaseUnusable, match="another mailbox server is using it"):
        open_database(path, create_or_upgrade_channel_db)
    first.close()
    assert list(link.parent.iterdir()) == [link]
    (tmp_path / "second.sqlite").hardlink_to(path)
    with pytest.raises(DatabaseUnusable, match="several names"):
        open_database(path, create_or_upgrade_channel_db)


@pytest.mark.parametrize(
    "content", [b"this is not a database, and long enough to be seen as none" * 40, b""]
)
def test_what_is_no_mailbox_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """A file of another kind is refused in one line, and not a byte of it changes."""
    path = tmp_path / "m.sqlite"
    path.write_bytes(content)
    with pytest.raises(DatabaseUnusable) as refused:
        open_database(path, create_or_upgrade_channel_db)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder that cannot be made is refused with the system's reason."""
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnusable, match=r"file/m\.sqlite: (Not a directory|File exists)"):
        open_database(tmp_path / "file" / "m.sqlite", create_or_upgrade_channel_db)
