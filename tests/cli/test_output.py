"""Commands whose output fails: the flows do not notice, and nobody is misled."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.cli.journals import move, open_at, run, start
from tests.harness import forks
from tests.harness.failing_output import VARIABLE
from tests.harness.nursery import PROGRAM
from tests.harness.peers import StockReceivers
from tests.harness.process import BIN, Child, Holdfast
from tests.harness.waiting import DEADLINE, until

CODE = "7-crossover-clockwork"


def live_codes(home: Holdfast) -> dict[str, str]:
    """The codes that `status` shows, which is where they are when they could not be printed."""
    looked = run(Path(str(home.db)), "status", "--json", "--codes")
    shown = json.loads(looked.stdout) if looked.exit_code == 0 else []
    return {each["name"]: each["code"] for each in shown if each["code"]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("name,secret\nann,A-1\nСветлана,B-2\n")
    return path


def victim(home: Holdfast, how: str, *words: str | Path) -> Child:
    return Child([sys.executable, PROGRAM, *words], env=home.env(**{VARIABLE: how}))


@pytest.mark.parametrize("how", ["once", "stuck"])
def test_every_point_of_output_fails(
    how: str, home: Holdfast, stock: StockReceivers, source: Path
) -> None:
    """Each write of a batch is refused once, or never returns: everybody collects."""
    with victim(home, how, "provision", source) as child:
        until(lambda: len(live_codes(home)) == 2, "both codes")
        given = live_codes(home)
        if how == "once":
            until(lambda: child.out.count("\n") == 2, "both are printed")
        for code in given.values():
            stock.receive(code, how + code)
        done = child.wait()
    assert done.status == 0, done
    assert stock.wait(how + given["ann"]).text == "A-1"
    assert stock.wait(how + given["Светлана"]).text == "B-2"
    if how == "once":
        assert sorted(done.out.splitlines()) == sorted(f"{n}\t{c}" for n, c in given.items())
        assert done.err.endswith("2 flows: 2 done.\n")
        assert "ann: collected\n" in done.err
    else:
        assert (done.out, done.err) == ("", "")


def test_a_reader_that_goes_away(
    home: Holdfast, stock: StockReceivers, source: Path, tmp_path: Path
) -> None:
    """`| head -1` ends neither the command nor anybody's exchange; it is said on standard error."""
    errors = tmp_path / "err"
    with errors.open("wb") as err:
        words = [BIN / "holdfast", "provision", source]
        child = forks.start(words, env=home.env(), stderr=err.fileno())
    try:
        assert child.stdout is not None
        child.stdout.close()
        until(lambda: len(live_codes(home)) == 2, "both codes")
        until(lambda: "Broken pipe" in errors.read_text(), "the first is refused")
        for code in live_codes(home).values():
            assert stock.wait(stock.receive(code, "gone" + code)).text in ("A-1", "B-2")
        assert child.wait(DEADLINE) == 0
    finally:
        child.kill()
    said = errors.read_text()
    assert "standard output cannot be written: Broken pipe; the work continues" in said
    assert "lines could not be printed on standard output: Broken pipe" in said
    assert "'holdfast status --codes' shows the codes" in said


@pytest.mark.long
def test_a_terminal_that_is_not_utf8(home: Holdfast, source: Path) -> None:
    """What cannot be encoded is escaped, by commands that run flows and by those that look."""
    other = {"PYTHONIOENCODING": "latin-1"}
    ran = home.run("provision", source, "--for", "1s", **other)
    assert ran.status == 1
    assert "the time is over" in ran.err
    looked = home.run("status", **other)
    assert (looked.status, looked.err) == (0, "")
    assert "\\u0421\\u0432" in looked.out
    assert home.run("status", "Светлана", **other).status == 0


@pytest.mark.long
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_missing_streams(closed: str, home: Holdfast, source: Path) -> None:
    """No file that is opened later gets the number of a standard stream that is missing."""
    script = f'exec "$@" {closed}'
    words = ["sh", "-c", script, "sh", str(BIN / "holdfast"), "provision", str(source)]
    with Child(words, env=home.env()) as child:
        until(lambda: len(live_codes(home)) == 2, "both codes")
        open_files = Path(f"/proc/{child.pid}/fd")
        for each in closed.split():
            assert (open_files / each[0]).readlink() == Path("/dev/null")
        if "1" not in closed:
            child.wait_for("^ann\t")
        child.terminate()
        done = child.wait()
    assert done.status == 130, done


@pytest.fixture
def looked_at(home: Holdfast) -> Holdfast:
    """A database with a code whose holder has a wide and combining name."""
    journal = open_at(Path(str(home.db)))
    flows = start(journal, "山田\u3000太郎" * 3, "Zoe\u0308 " * 9, "ann")
    for flow in flows.values():
        move(flow, "waiting", code=CODE)
    journal.close()
    return home


def test_an_error_that_cannot_be_printed(home: Holdfast) -> None:
    """The exit status is the same, whatever becomes of the line."""
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run([BIN / "holdfast", "nonsense"], stderr=full, check=False)
    assert ran.returncode == 2


def on_terminal(home: Holdfast, columns: int, *words: str) -> str:
    """What a command writes on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = home.env(TERM="xterm")
    env.pop("COLUMNS", None)
    command = [BIN / "holdfast", *words]
    child = forks.start(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # it has ended
            break
        said += chunk
    os.close(ours)
    assert child.wait(DEADLINE) == 0
    return said.decode()


@pytest.mark.parametrize("columns", [80, 40, 10])
def test_a_code_is_never_cut(columns: int, looked_at: Holdfast) -> None:
    """Everybody's code is whole, whatever the width of the terminal and their name."""
    said = on_terminal(looked_at, columns, "status", "--codes")
    assert said.count(CODE) == 3, said
    assert said.count("waiting") >= 3, said
    assert CODE in on_terminal(looked_at, columns, "status", "ann")


@pytest.mark.long
def test_a_text_that_cannot_be_printed(home: Holdfast, stock: StockReceivers) -> None:
    """It is not refused: the sender waits, and the same command prints it when there is room."""
    sending = Holdfast(home.home / "sender", home.relay, str(home.home / "sender.db"))
    with sending.start("send", "--text", "Zoë, 山田") as sender:
        code = sender.wait_for("^(\\d+-\\S+)$")[1]
        for output in ("/dev/full", None):
            ours, theirs = os.pipe()
            os.close(ours)
            if output is not None:
                os.close(theirs)
                theirs = os.open(output, os.O_WRONLY)
            errors = home.home / "errors"
            with errors.open("wb") as err:
                words = [BIN / "holdfast", "receive", code]
                ran = forks.start(words, env=home.env(), stdout=theirs, stderr=err.fileno())
            os.close(theirs)
            assert ran.wait(DEADLINE) == 1
            assert "nothing is lost: start the same command again" in errors.read_text()
            assert sender.alive
        done = home.run("receive", code, PYTHONIOENCODING="latin-1")
        assert (done.status, done.out) == (0, "Zoë, 山田\n")
        assert sender.wait().status == 0
