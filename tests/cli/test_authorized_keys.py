"""Adding a key to `authorized_keys`: what is there afterwards, and what is never touched."""

import errno
import os
import pwd
import stat
from pathlib import Path

import pytest

from holdfast.operating import authorized_keys
from holdfast.operating.authorized_keys import PART, Account, account_of, add, check
from holdfast.operating.own_public_key import named
from holdfast.operating.refused import Refused
from holdfast.transfer.public_keys import read_public_key
from tests.transfer.keys import ED25519, P256, RSA

KEY, OTHER = read_public_key(ED25519), read_public_key(P256)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")


@pytest.fixture
def ours(tmp_path: Path) -> Account:
    return Account(tmp_path, os.geteuid(), os.getegid())


@pytest.fixture
def anns(tmp_path: Path) -> Account:
    """The account of another user."""
    home = tmp_path / "ann"
    home.mkdir()
    os.chown(home, 12_345, 12_345)
    return Account(home, 12_345, 12_345)


def made(account: Account, text: str, mode: int = 0o600) -> Path:
    account.path.parent.mkdir(mode=0o700)
    account.path.write_text(text)
    account.path.chmod(mode)
    return account.path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file(ours: Account) -> None:
    """It and its directory are for their owner only, whatever the umask; once is enough."""
    old = os.umask(0)
    try:
        check(ours)
        assert not ours.path.parent.exists()
        assert add(ours, KEY)
    finally:
        os.umask(old)
    assert not add(ours, KEY)
    assert add(ours, OTHER)
    assert ours.path.read_text() == f"{ED25519}\n{P256}\n"
    assert (mode(ours.path.parent), mode(ours.path)) == (0o700, 0o600)
    assert os.listdir(ours.path.parent) == ["authorized_keys"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("before", "adds"),
    [
        ("# mine\n", True),
        (f"{RSA}", True),  # without a line end
        (f"# {ED25519}\n", True),
        (f"{ED25519} of long ago\n", False),
        (f"\n  {KEY.kind} {KEY.blob}\n", False),
        (f'from="10.0.0.0/8",no-pty {ED25519}\n', False),
    ],
)
def test_a_file_that_is_there(ours: Account, before: str, adds: bool) -> None:
    """What stands in it stays; what others could write is the owner's alone from now on."""
    path = made(ours, before, 0o664)
    check(ours)
    assert add(ours, KEY) is adds
    ending = "" if before.endswith("\n") else "\n"
    assert path.read_text() == before + f"{ending}{ED25519}\n" * adds
    assert mode(path) == (0o644 if adds else 0o664)


def test_by_way_of_links(ours: Account, tmp_path: Path) -> None:
    """One's own directory and file may be elsewhere; the links stay, also to what is not there."""
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    ours.path.parent.symlink_to(elsewhere)
    (elsewhere / "authorized_keys").symlink_to(tmp_path / "keys")
    check(ours)
    assert add(ours, KEY) and not add(ours, KEY)
    assert (tmp_path / "keys").read_text() == f"{ED25519}\n"
    assert ours.path.parent.is_symlink() and (elsewhere / "authorized_keys").is_symlink()


def test_what_a_dead_process_left(ours: Account) -> None:
    """It is removed, whatever it is, and nothing is written through it."""
    path = made(ours, "# mine\n")
    (path.parent / PART).symlink_to(path.parent / "victim")
    assert add(ours, KEY)
    assert os.listdir(path.parent) == ["authorized_keys"]  # noqa: PTH208


def test_a_line_that_another_program_adds_meanwhile(
    ours: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not lost: the file is read again."""
    path, sync, calls = made(ours, "# mine\n"), os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            with path.open("a") as file:
                file.write(f"{P256}\n")
        sync(descriptor)

    monkeypatch.setattr(authorized_keys.os, "fsync", fsync)
    assert add(ours, KEY)
    assert path.read_text() == f"# mine\n{P256}\n{ED25519}\n"


def test_a_full_disk(ours: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays as it was, and nothing lies beside it."""
    path = made(ours, "# mine\n")

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(authorized_keys.os, "fsync", fsync)
    with pytest.raises(Refused, match="No space left"):
        add(ours, KEY)
    assert path.read_text() == "# mine\n"
    assert os.listdir(path.parent) == ["authorized_keys"]  # noqa: PTH208


def test_what_is_no_file(ours: Account) -> None:
    """A directory, a pipe and a loop of links are refused before anything starts."""
    ours.path.parent.mkdir()
    makers = (
        ours.path.mkdir,
        lambda: os.mkfifo(ours.path),
        lambda: ours.path.symlink_to(ours.path),
    )
    for make in makers:
        make()
        with pytest.raises(Refused, match="authorized_keys: "):
            check(ours)
        with pytest.raises(Refused, match="authorized_keys: "):
            add(ours, KEY)
        ours.path.rmdir() if ours.path.is_dir() else ours.path.unlink()


@as_root
def test_for_another_user(anns: Account) -> None:
    """As root: all that is made is hers."""
    check(anns)
    assert add(anns, KEY) and not add(anns, KEY) and add(anns, OTHER)
    for path in (anns.path, anns.path.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (12_345, 12_345)
    assert (mode(anns.path.parent), mode(anns.path)) == (0o700, 0o600)


@as_root
def test_another_user_leads_root_nowhere(anns: Account, tmp_path: Path) -> None:
    """No link in her home is followed, and no second name of a file that is not hers is read."""
    roots = tmp_path / "root"
    roots.mkdir()
    (roots / "authorized_keys").write_text("# root's\n")
    anns.path.parent.symlink_to(roots)
    refused(anns, "symbolic link")
    anns.path.parent.unlink()
    anns.path.parent.mkdir()
    anns.path.symlink_to(roots / "authorized_keys")
    refused(anns, "symbolic link")
    anns.path.unlink()
    anns.path.hardlink_to(roots / "authorized_keys")
    refused(anns, "another owner")
    assert (roots / "authorized_keys").read_text() == "# root's\n"


def refused(account: Account, why: str) -> None:
    for attempt in (lambda: check(account), lambda: add(account, KEY)):
        with pytest.raises(Refused, match=why):
            attempt()


def test_whose_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody who does not exist; for another user only root; and not root in somebody's home."""
    for name in ("nobody-of-that-name", "a\0b"):
        with pytest.raises(Refused, match="there is no user"):
            account_of(name)
    root = pwd.getpwnam("root")
    assert account_of("root") == Account(Path(root.pw_dir), 0, root.pw_gid)
    monkeypatch.setattr(authorized_keys.os, "geteuid", lambda: 4)
    with pytest.raises(Refused, match="only root and 'root' can"):
        account_of("root")
    monkeypatch.setattr(authorized_keys.os, "geteuid", lambda: 0)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    with pytest.raises(Refused, match="HOME names it"):
        account_of(None)


def test_which_key_is_sent(tmp_path: Path) -> None:
    """A private key is refused, and its public half named.

    Files in a directory that are not keys are passed over.
    """
    for name, text in (
        ("id.pub", ED25519),
        ("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"),
        ("cert.pub", f"ssh-rsa-cert-v01@openssh.com {KEY.blob}"),
        ("noise.pub", "\udce9"),
    ):
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    os.mkfifo(tmp_path / "pipe.pub")
    [own] = named(tmp_path)
    assert (own.path.name, own.key) == ("id.pub", KEY)
    with pytest.raises(Refused, match=r"private key.*is it .*id\.pub that you mean\?") as caught:
        named(tmp_path / "id")
    assert "hunter2" not in str(caught.value)
    (tmp_path / "id.pub").unlink()
    with pytest.raises(Refused, match=r"cert\.pub: .*; .*noise\.pub: .*; .*pipe\.pub: not a reg"):
        named(tmp_path)
    with pytest.raises(Refused, match="No such file"):
        named(tmp_path / "none")
