"""The command that mints a credential, as a real child process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.flows.command import KEY_VARIABLE, mint
from holdfast.flows.tasks import Call, TaskFailed
from holdfast.flows.text import LONGEST_TEXT
from tests.harness import reactor

KEY = "k" * 32


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    yield
    from twisted.internet.process import reapProcessHandlers

    assert not reapProcessHandlers, "a child process is still there"


def run(*command: str) -> str:
    async def running() -> str:
        from twisted.internet import reactor as real

        return await mint(Call({"command": list(command)}, KEY, real))

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
        (r"printf '\377\376'", "the command printed something that is no UTF-8"),
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
    with pytest.raises((TaskFailed, OSError)):
        run(str(tmp_path / "gone"))


def wait_for_children() -> None:
    from twisted.internet.process import reapProcessHandlers

    from tests.harness.waiting import until

    until(lambda: not reapProcessHandlers, "the end of the child")
