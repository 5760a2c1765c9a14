"""The command that mints a credential, as a real child process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError

from holdfast.flows.shipped.command import KEY_VARIABLE, NAME_VARIABLE, mint
from holdfast.flows.tasks import Call, TaskFailed
from holdfast.transfer.text import LONGEST_TEXT
from tests.harness import reactor
from tests.harness.waiting import until

KEY = "k" * 32


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    yield
    from twisted.internet.process import reapProcessHandlers

    assert not reapProcessHandlers, "a child process is still there"


def run(*command: str, **more: object) -> str:
    async def running() -> str:
        from twisted.internet import reactor as real

        return await mint(Call({"command": list(command), **more}, KEY, real))

    return reactor.run(running)


def shell(script: str, *words: str) -> str:
    return run("/bin/sh", "-c", script, "sh", *words)


def fails(script: str) -> TaskFailed:
    with pytest.raises(TaskFailed) as failed:
        shell(script)
    return failed.value


@pytest.mark.parametrize(
    ("printed", "credential"),
    [
        ("token", "token"),
        (r"token\n", "token"),
        (r"token\r\n", "token"),
        (r"token\n\n", "token\n"),
        (r"token\r", "token\r"),
        (r"token\r\r\n", "token\r"),
        (r" a\nb ", " a\nb "),
        (r"\303\274", "ü"),
    ],
)
def test_what_it_prints_is_the_credential(printed: str, credential: str) -> None:
    """Standard output, without the one line's end that most commands print."""
    assert shell(f"printf '{printed}'") == credential


def test_what_would_be_too_long_in_its_message() -> None:
    """What the limit bounds is the message, in which a line end takes two bytes."""
    failed = fails("yes | head -c 12000")
    assert "takes 18,000 bytes in a message" in str(failed)
    assert failed.final


def test_no_shell_comes_between() -> None:
    """The words reach the command as they are, whatever characters are in them."""
    words = ["$HOME `id` ; *", "two  blanks", "", "--x='y'"]
    assert run(sys.executable, "-c", "import sys; print(sys.argv[1:])", *words) == str(words)


def test_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has ours and the idempotency key, but not the key that seals the journal."""
    monkeypatch.setenv("HOLDFAST_KEY", "5" * 64)
    monkeypatch.setenv("OPERATORS_OWN", "setting")
    assert shell(f'echo "$HOLDFAST_KEY,$OPERATORS_OWN,${KEY_VARIABLE}"') == f",setting,{KEY}"


def test_its_input_is_empty() -> None:
    """A command that reads finds the end at once, and does not wait for a terminal."""
    assert shell("cat; echo nothing") == "nothing"


def test_how_it_fails() -> None:
    """Exit status, signal, no output and bytes that are no text: each is told, and tried again."""
    for script, said in [
        ("echo s3cr3t; exit 3", "the command's exit status was 3"),
        ("echo s3cr3t; kill -9 $$", "the command died of signal 9"),
        ("true", "the command printed nothing"),
        ("echo", "the command printed nothing"),
        (r"printf '\377\376'", "the command printed something that is not UTF-8"),
    ]:
        failure = fails(script)
        assert str(failure) == said
        assert not failure.final


def test_too_much_output() -> None:
    """More than can be sent ends the command, and is not tried again."""
    assert len(shell(f"head -c {LONGEST_TEXT} /dev/zero | tr '\\0' x")) == LONGEST_TEXT
    for script in (f"head -c {LONGEST_TEXT + 1} /dev/zero | tr '\\0' x", "exec cat /dev/zero"):
        failure = fails(script)
        assert f"more than {LONGEST_TEXT} bytes" in str(failure)
        assert failure.final
    wait_for_children()


def test_a_command_that_takes_too_long(tmp_path: Path) -> None:
    """A command whose time is over is killed."""
    started = tmp_path / "started"

    async def running() -> None:
        from twisted.internet import reactor as real

        script = f"echo > {started}; exec sleep 600"
        done = mint(Call({"command": ["/bin/sh", "-c", script]}, KEY, real))
        outcome: list[object] = []
        done.addBoth(outcome.append)
        await reactor.until(started.exists, "the command")
        done.cancel()
        await reactor.until(lambda: outcome, "the end")

    reactor.run(running)
    wait_for_children()


def test_a_program_that_is_gone(tmp_path: Path) -> None:
    """A program that vanished after the start is a failed try, not the end of the engine."""
    with pytest.raises(TaskFailed, match="could not be started: No such file"):
        run(str(tmp_path / "gone"))


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    yield (made := Witness(tmp_path / "fifo"))
    os.close(made.reader)


class Witness:
    """A pipe that each process of a command holds open, as long as one of them is alive."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def script(self, rest: str) -> list[str]:
        return ["/bin/sh", "-c", f"exec 9> {self.path}; echo >&9; {rest}"]

    def nobody_is_left(self) -> bool:
        try:
            return os.read(self.reader, 100) == b""
        except BlockingIOError:
            return False

    def somebody_is_there(self) -> bool:
        try:
            return os.read(self.reader, 1) != b""
        except BlockingIOError:
            return False


def test_the_result_is_there_when_the_command_is(witness: Witness) -> None:
    """What it leaves running holds the pipe, and neither delays the result nor outlives it."""
    assert run(*witness.script("sleep 600 & echo token")) == "token"
    until(witness.nobody_is_left, "the end of what it had started")


def test_output_may_end_before_the_command() -> None:
    """A command that closes its output has not worked until it says so."""
    assert str(fails("echo token; exec >&-; sleep 0.05; exit 3")) == (
        "the command's exit status was 3"
    )


def test_cancelling_ends_the_whole_tree(witness: Witness) -> None:
    """What the command has started is killed with it."""

    async def running() -> None:
        from twisted.internet import reactor as real

        command = witness.script("sleep 600 & sleep 600 & wait")
        done = mint(Call({"command": command}, KEY, real))
        done.addErrback(lambda failure: failure.trap(CancelledError))
        await reactor.until(witness.somebody_is_there, "the command")
        done.cancel()
        await reactor.until(witness.nobody_is_left, "the end of all")

    reactor.run(running)
    wait_for_children()


def test_its_time_is_limited(witness: Witness) -> None:
    """After its own time-out it is killed with all it has started, and that is a failed try."""
    command = witness.script("sleep 600 & wait")
    with pytest.raises(TaskFailed, match=r"killed after 0\.2 seconds") as failed:
        run(*command, timeout=0.2)
    assert not failed.value.final
    until(witness.nobody_is_left, "the end of all")
    wait_for_children()


def test_the_name_is_in_its_environment() -> None:
    """Whatever is in it, a shell takes it for nothing but a value."""
    name = '"$(touch pwned)" `id` Zoë'
    assert run("/bin/sh", "-c", f'echo "${NAME_VARIABLE}"', name=name) == name


def wait_for_children() -> None:
    from twisted.internet.process import reapProcessHandlers

    until(lambda: not reapProcessHandlers, "the end of the child")
