"""``holdfast send FILE`` and ``holdfast receive`` of it: files, folders and standard input."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.journals import failed, run
from tests.harness import forks
from tests.harness.peers import code_of as stock_code_of
from tests.harness.peers import wormhole_send_file
from tests.harness.process import BIN, NO_RELAY, Child, Holdfast
from tests.harness.terminal import Terminal
from tests.harness.waiting import DEADLINE

CODE = r"^(\d+-\S+)\n"


@pytest.fixture
def other(home: Holdfast) -> Holdfast:
    """The command at the other end, which has nothing in common with ours."""
    return Holdfast(home.home / "other", home.relay, str(home.home / "other.db"), NO_RELAY)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    into = tmp_path / "inbox"
    into.mkdir()
    return into


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(os.urandom(200_000))
    return path


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def code_of(sender: Child) -> str:
    return str(sender.wait_for(CODE)[1])


def test_through_a_kill(home: Holdfast, other: Holdfast, report: Path, inbox: Path) -> None:
    """Killed and started again with the same words, it has the same code, and ends well.

    Several things are one folder, under the name and in the place that each side wants.
    """
    (report.parent / "photos").mkdir()
    (report.parent / "photos" / "one.jpg").write_bytes(b"jpg")
    words = ("report.pdf", "photos", "--name", "parcel")
    with home.start("send", *words, cwd=report.parent) as child:
        code = code_of(child)
        child.kill9()
    paths = (report, report.parent / "photos")
    with home.start("send", *paths, "--name", "parcel") as child:
        assert code_of(child) == code
        received = other.run("receive", code, "--accept", "--out", inbox / "mine")
        sent = child.wait()
    assert (received.status, received.out) == (0, ""), received
    assert f"received: {inbox / 'mine'}" in received.err
    assert names(inbox) == ["mine"]
    assert (inbox / "mine" / "report.pdf").read_bytes() == report.read_bytes()
    assert (inbox / "mine" / "photos" / "one.jpg").read_bytes() == b"jpg"
    assert (sent.status, sent.out) == (0, f"{code}\n")
    assert "continuing with the code of 'report.pdf' and 1 more" in sent.err
    assert "parcel: 20" in sent.err
    digest = sent.err.split("sha256: ")[1].split("\n")[0]
    assert f"  sha256  {digest}\n" in received.err, "the recipient could compare it"
    assert "sent: the recipient has it" in sent.err
    once_more = home.run("send", *paths, "--name", "parcel")
    assert (once_more.status, once_more.out) == (0, "")
    assert "'report.pdf' and 1 more was collected at" in once_more.err


def test_a_file_that_changed(home: Holdfast, other: Holdfast, report: Path, inbox: Path) -> None:
    """Both sides hear that it is not what was measured, and nobody has half of each."""
    with home.start("send", report) as child:
        code = code_of(child)
        child.wait_for("sha256", stream="err")
        report.write_bytes(b"another")
        received = other.run("receive", code, "--accept", "--output-dir", inbox)
        sent = child.wait()
    assert sent.status == received.status == 1
    assert "report.pdf" in sent.err and "changed" in sent.err
    assert "start again for a new exchange" in sent.err
    assert "changed" in received.err
    assert "ask the sender for a new code" in received.err
    assert not (inbox / "report.pdf").exists()


def test_standard_input(home: Holdfast, other: Holdfast, inbox: Path, tmp_path: Path) -> None:
    """It is kept as long as it is needed; another stream is another exchange."""
    spool = Path(f"{home.db}.spool")

    def start(typed: str, *more: str) -> Child:
        words = [BIN / "holdfast", "send", "-", *more]
        child = Child(words, env=home.env(), stdin=subprocess.PIPE)
        child.write(typed)
        child.end_input()
        return child

    with start("one") as child:
        code = code_of(child)
        child.kill9()
    [kept] = spool.iterdir()
    assert kept.read_bytes() == b"one"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with start("two") as child:
        assert code_of(child) != code
        child.kill9()
    with start("one") as child:
        assert code_of(child) == code
        received = other.run("receive", code, "--accept", cwd=inbox)
        assert received.status == child.wait().status == 0
    assert (inbox / "stdin").read_bytes() == b"one"
    [kept] = spool.iterdir()
    assert kept.read_bytes() == b"two", "what was sent is gone, what was not is there"


def test_nobody_can_be_asked(home: Holdfast, other: Holdfast, report: Path, inbox: Path) -> None:
    """Nothing is refused or lost: the same command takes it when it is told to.

    Nor is it if the path cannot be printed, which the same command then does.
    """
    (inbox / "report.pdf").write_text("mine")
    with home.start("send", report) as child:
        code = code_of(child)
        asked = other.run("receive", code, "--output-dir", inbox)
        assert (asked.status, asked.out) == (1, "")
        assert "  size    200 kB (200,000 bytes)\n" in asked.err
        assert "the same command with --accept takes it" in asked.err
        assert child.alive
        assert "exchanging" in run(Path(str(other.db)), "status").stdout
        words = [BIN / "holdfast", "receive", code, "--accept", "--output-dir", inbox]
        with Path("/dev/full").open("wb") as full:
            unheard = forks.start(
                words, env=other.env(), stdout=full.fileno(), stderr=forks.DEVNULL
            )
            assert unheard.wait(DEADLINE) == 1
        assert child.wait().status == 0
    taken = other.run("receive", code, "--output-dir", inbox)
    assert (taken.status, taken.out) == (0, f"{inbox / 'report (2).pdf'}\n")
    assert (inbox / "report (2).pdf").read_bytes() == report.read_bytes()
    assert (inbox / "report.pdf").read_text() == "mine"


def test_the_question(home: Holdfast, other: Holdfast, report: Path, inbox: Path) -> None:
    """Ctrl-C leaves it open; what is not an answer is asked again; a file may be replaced."""
    (inbox / "report.pdf").write_text("mine")
    with home.start("send", report) as child:
        code = code_of(child)
        words = ("receive", code, "--output-dir", inbox)
        with Terminal(other, *words, columns=80) as terminal:
            terminal.wait_for("exists] ")
            terminal.interrupt()
            assert terminal.wait() == 130
            assert "nothing is lost" in terminal.written
        with Terminal(other, *words, columns=40) as terminal:
            terminal.wait_for("exists] ")
            terminal.type("what?\n")
            terminal.wait_for("exists] what?\r\nAccept it?")
            terminal.type("overwrite\n")
            assert terminal.wait() == 0
            lines = terminal.lines
        assert child.wait().status == 0
    assert (inbox / "report.pdf").read_bytes() == report.read_bytes()
    assert "  name    report.pdf" in lines
    assert any(line.startswith("received: ") for line in lines)
    assert "".join(lines).count(str(inbox / "report.pdf")) == 1, "not on standard output too"


def test_no_name_commands_a_terminal(home: Holdfast, report: Path, inbox: Path) -> None:
    """Neither where it is offered, nor where it is received, nor in `status`."""
    evil = report.rename(report.parent / "\x1b[2Jüber\u202efdp.exe")
    with wormhole_send_file(str(home.relay), evil) as child:
        words = ("receive", stock_code_of(child), "--output-dir", inbox)
        with Terminal(home, *words) as asked:
            asked.wait_for("Accept it? [y/N] ")
            asked.interrupt()
            asked.wait()
        database = Path(str(home.db))
        [row] = json.loads(run(database, "status", "--json").stdout)
        status = run(database, "status", row["name"]).stdout
        with Terminal(home, *words, "--accept") as taken:
            assert taken.wait() == 0
        assert child.wait().status == 0
    assert "  name    \\x1b[2Jüber\\u202efdp.exe" in asked.lines
    written = asked.written + status + taken.written
    assert "\x1b[2J" not in written and "\u202e" not in written
    assert names(inbox) == ["_[2Jüber_fdp.exe"]


def test_bad_input(tmp_path: Path, report: Path) -> None:
    """What cannot be done is one line, and nothing is started."""
    database = tmp_path / "none.db"
    for words, said in [
        (["send", str(report), "none"], "there is no file 'none'"),
        (["send", "-", str(report)], "- is standard input, and is sent alone"),
        (["send", str(report), "--text", "x"], "give files or a text, not both"),
        (["send", "--text", "x", "--name", "x"], "--name: this is for files"),
        (["send", "--text", "x", "--port", "4711"], "--port: this is for files"),
        (["send", str(report), "--no-listen", "--port", "4711"], "--port: nothing listens there"),
        (["send", str(report), "--port", "70000"], "--port"),
        (["receive", "4-a-b", "--out", "x", "--output-dir", "y"], "not both"),
        (["receive", "4-a-b", "--output-dir", str(tmp_path / "y")], "there is no directory"),
    ]:
        failed(run(database, *words), said)
    assert not database.exists()
