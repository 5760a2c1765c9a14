"""`holdfast ssh`: a public key, from its owner's `~/.ssh` into somebody's `authorized_keys`."""

import re
import stat
from pathlib import Path

from tests.cli.journals import failed, run
from tests.harness.process import BIN, Child, Holdfast, environment
from tests.harness.server import MailboxServer
from tests.harness.terminal import Terminal
from tests.harness.waiting import until
from tests.transfer.keys import ED25519, FINGERPRINTS, RSA


def with_key(home: Path, *lines: str) -> Path:
    """Give somebody public keys, and the private halves, which nobody may read or send."""
    folder = home / ".ssh"
    folder.mkdir(mode=0o700, parents=True)
    for number, line in enumerate(lines):
        (folder / f"id_{number}.pub").write_text(line + "\n")
        (folder / f"id_{number}").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n")
    return home


def stock_accepts(mailbox: MailboxServer, code: str, home: Path) -> Child:
    words = ("--relay-url", mailbox.url, "ssh", "accept", "--yes", code)
    return Child([BIN / "wormhole", *words], env=environment(HOME=str(home), PATH="/bin"))


def modes(home: Path) -> tuple[int, int]:
    folder, file = home / ".ssh", home / ".ssh/authorized_keys"
    return stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)


def test_the_stock_client_accepts(home: Holdfast, tmp_path: Path, mailbox: MailboxServer) -> None:
    """Where nobody can be asked nothing is lost; asked again, the key is added, and stock knows."""
    keys = home.home / ".ssh/authorized_keys"
    with home.start("ssh", "invite") as first:
        code = first.wait_for(r"^(\d+-\S+)$")[1]
        stock = stock_accepts(mailbox, code, with_key(tmp_path / "ann", ED25519))
        ended = first.wait()
    assert f"wormhole --relay-url {mailbox.url} ssh accept {code}\n" in ended.err
    assert ended.status == 1 and "the same command with --yes adds it" in ended.err
    assert not keys.exists()
    with stock, Terminal(home, "ssh", "invite") as second:
        second.wait_for("[y/N] ")
        assert FINGERPRINTS[ED25519] in second.written and "ann@laptop" in second.written
        assert stock.alive and not keys.exists()
        second.type("y\n")
        assert second.wait() == 0, second.written
        assert "added to" in second.written
        assert stock.wait().status == 0 and "Key sent." in stock.out
    assert keys.read_text() == f"{ED25519}\n"
    assert modes(home.home) == (0o700, 0o600)


def test_the_stock_client_invites(home: Holdfast, tmp_path: Path, mailbox: MailboxServer) -> None:
    """The key that was chosen of two is sent, and nothing of it before the person agrees."""
    with_key(home.home, ED25519, RSA)
    bob = Holdfast(tmp_path / "bob")
    (bob.home / ".ssh").mkdir(parents=True)  # the stock client does not begin without it
    words = ("--relay-url", mailbox.url, "ssh", "invite")
    with Terminal(bob, *words, program="wormhole") as stock:
        code = until(lambda: re.search(r"accept (\S+)\r\n", stock.written), "its code")[1]
        failed(run(Path(str(home.db)), "ssh", "accept", code, "-F", home.home / ".ssh/id_0"))
        with Terminal(home, "ssh", "accept", code) as terminal:
            terminal.wait_for("Which one? [1-2] ")
            terminal.type("7\n2\n")
            terminal.wait_for("Send it? [y/N] ")
            terminal.type("y\n")
            assert terminal.wait() == 0, terminal.written
            assert "the other side has the key" in terminal.written
        assert stock.wait() == 0
    assert (bob.home / ".ssh/authorized_keys").read_text() == f"{RSA}\n"
    again = home.run("ssh", "accept", code)
    assert again.status == 0 and "a key was sent with this code" in again.err
