"""``holdfast receive``: a text into a file or onto a terminal, and a file that nobody wants."""

import re
import stat
from pathlib import Path

import pytest

from tests.cli.journals import failed, run
from tests.cli.test_provision import on_terminal
from tests.harness.peers import StockReceivers, code_of, wormhole_send_file
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.terminal import Terminal
from tests.harness.waiting import until

SHOWN = r"\b[0-9a-f]{64}\b"
"""A verifier on the screen."""


def test_into_a_file_through_a_kill(
    home: Holdfast, stock: StockReceivers, tmp_path: Path, mailbox: MailboxServer
) -> None:
    """Killed and started again with the same words, it ends with the file, whole, mode 0600."""
    out, code = tmp_path / "out.txt", "701-purple-sausages"
    with home.start("receive", code, "--out", out) as child:
        # It waits for its sender.
        until(lambda: mailbox.tables().nameplates_of([code]), "its claim")
        child.kill9()
    assert not out.exists()
    stock.send(code, "ünï\ntext")
    ended = home.run("receive", code, "--out", out)
    assert ended.status == 0
    assert ended.out == ""
    assert f"received: {out}" in ended.err
    assert out.read_text() == "ünï\ntext"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert stock.wait(code).ok
    # Once more: it exists already, and nothing is asked of the server.
    again = home.run("receive", code, "--out", out)
    assert again.status == 0
    assert f"written to {out}" in again.err


def test_onto_standard_output(home: Holdfast, stock: StockReceivers) -> None:
    """Without --out the text is on standard output, as it is, and nothing else."""
    code = "702-purple-sausages"
    stock.send(code, "a \x1b[31mred\x1b[0m text")
    ended = home.run("receive", code)
    assert ended.status == 0
    assert ended.out == "a \x1b[31mred\x1b[0m text\n"
    assert stock.wait(code).ok


def test_a_dash_is_standard_output(
    home: Holdfast, stock: StockReceivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out -` makes no file of that name, and adds no line end."""
    monkeypatch.chdir(tmp_path)
    code = "709-purple-sausages"
    stock.send(code, "exactly\tthis")
    ended = home.run("receive", code, "--out", "-")
    assert (ended.status, ended.out) == (0, "exactly\tthis")
    assert not (tmp_path / "-").exists()


def test_no_sender_commands_the_terminal(home: Holdfast, stock: StockReceivers) -> None:
    """On a terminal what would be obeyed is shown instead."""
    code = "703-purple-sausages"
    stock.send(code, "a \x1b[31mred\x1b[0m text\nin two lines")
    said = on_terminal(home, "receive", code)
    assert "a \\x1b[31mred\\x1b[0m text\r\nin two lines\r\n" in said


def test_a_file_is_refused_on_both_sides(
    home: Holdfast, tmp_path: Path, mailbox: MailboxServer
) -> None:
    """Who offers it hears so at once, and nothing is left of it; to say nothing is to say no."""
    offered, out = tmp_path / "offered.bin", tmp_path / "out.txt"
    offered.write_bytes(b"\0" * 100)
    with wormhole_send_file(mailbox.url, offered) as sender:
        code = code_of(sender)
        with Terminal(home, "receive", "--out", out) as terminal:
            terminal.wait_for("Code (Tab completes it): ")
            terminal.type(f"{code}\n")
            terminal.wait_for("Accept it? [y/N] ")
            terminal.type("\n")
            assert terminal.wait() == 1
        assert "it was not accepted; ask the sender for a new code" in terminal.written
        assert sender.wait().status != 0
        assert "transfer rejected" in sender.err
    assert not list(tmp_path.glob(".holdfast-*")) and not out.exists()
    # A file of that name that is made before the next try is not overwritten.
    out.write_text("mine")
    again = home.run("receive", code, "--out", out)
    assert again.status == 2
    assert "exists already" in again.err
    assert out.read_text() == "mine"


def test_bad_input(tmp_path: Path) -> None:
    """A malformed code and a place that cannot be written are one line; nothing is started."""
    database = tmp_path / "none.db"
    for code in ("", "purple-sausages", "4", "x-purple"):
        failed(run(database, "receive", "--", code))
    failed(run(database, "receive", "4 a b"), "holdfast: there is a space in the code")
    failed(run(database, "receive"), "CODE")
    failed(run(database, "receive", "4-a-b", "--relay", "x"), "--relay: ")
    failed(run(database, "receive", "4-a-b", "--for", "0s"), "0s")
    assert not database.exists()


def test_bad_places(tmp_path: Path, home: Holdfast) -> None:
    """A file that is there, or cannot be made, is found out before anything is started."""
    there = tmp_path / "there"
    there.write_text("mine")
    ended = home.run("receive", "4-a-b", "--out", there)
    assert ended.status == 2
    assert f"--out: {there} exists already" in ended.err
    assert there.read_text() == "mine"
    ended = home.run("receive", "4-a-b", "--out", tmp_path / "none/out")
    assert ended.status == 2
    assert "there is no directory" in ended.err
    assert run(Path(str(home.db)), "status").stdout == "No flows yet.\n"


def test_asking_for_the_code(home: Holdfast, stock: StockReceivers, mailbox: MailboxServer) -> None:
    """Tab completes the number and the words; what is no code is asked for again.

    Nothing is claimed until the code is whole, so that its number can be corrected.
    """
    code = "5849217-supportive-tapeworm"
    stock.send(code, "well typed")
    until(lambda: mailbox.tables().nameplates_of([code]), "the sender")
    with Terminal(home, "receive") as terminal:
        terminal.wait_for("Code (Tab completes it): ")
        terminal.type("4\n")
        terminal.wait_for("as in 4-purple-sausages\r\nCode (Tab completes it): ")
        terminal.type("8-pur\x1558492")
        terminal.press_tab_until("5849217-")
        terminal.type("supp")
        terminal.press_tab_until("5849217-supportive-")
        terminal.type("tapew")
        terminal.press_tab_until(code)
        terminal.type("\n")
        terminal.wait_for("well typed")
        assert terminal.wait() == 0, terminal.written
    assert stock.wait(code).ok
    # The same code, as a word this time: it is known.
    assert "was received" in home.run("receive", code).err


@pytest.mark.parametrize(
    ("keys", "status", "says"), [("\x04", 2, "no code"), ("", 130, "interrupted")]
)
def test_no_code_after_all(home: Holdfast, keys: str, status: int, says: str) -> None:
    """Nothing was started, whichever key ends it."""
    with Terminal(home, "receive") as terminal:
        terminal.wait_for("Code (Tab completes it): ")
        if keys:
            terminal.type(keys)
        else:
            terminal.interrupt()
        assert terminal.wait() == status
        assert says in terminal.written and "Traceback" not in terminal.written
    assert not Path(str(home.db)).exists()


def test_comparing_the_verifier(home: Holdfast, tmp_path: Path) -> None:
    """Both sides see the same; a process that is killed at the question asks it again.

    Where nobody can be asked nothing is started, and no exchange that was begun without the
    question goes on as if it were asked.
    """
    other = Holdfast(tmp_path / "other", home.relay, str(tmp_path / "other.db"), NO_RELAY)
    code = "71235-supportive-tapeworm"
    words = ("send", "--text", "for ann", "--code", code, "--verify")
    failed(run(tmp_path / "none.db", *words), "--verify: nobody can be asked here")
    with Terminal(home, *words) as sender, Terminal(other, "receive", code, "--verify") as receiver:
        sender.wait_for("Is it the same? [y/N] ")
        receiver.wait_for("Is it the same? [y/N] ")
        assert re.findall(SHOWN, sender.written) == re.findall(SHOWN, receiver.written)
    # Both are killed.
    with Terminal(home, *words) as sender, Terminal(other, "receive", code, "--verify") as receiver:
        sender.wait_for("Is it the same? [y/N] ")
        sender.type("no idea\ny\n")
        receiver.wait_for("Is it the same? [y/N] ")
        assert "for ann" not in receiver.written
        receiver.type("y\n")
        receiver.wait_for("for ann")
        assert (sender.wait(), receiver.wait()) == (0, 0)


def test_an_exchange_that_was_begun_without_the_question(home: Holdfast) -> None:
    """Nobody relies on a question that will not be asked."""
    assert home.run("receive", "71236-supportive-tapeworm", "--for", "1s").status == 1
    with Terminal(home, "receive", "71236-supportive-tapeworm", "--verify") as terminal:
        assert terminal.wait() == 2
        assert "--verify: this exchange was started without it" in terminal.written
