"""Somebody mistypes their code: nothing was sent, nothing made, and a new code works."""

import shlex
from pathlib import Path

import pytest

from tests.harness.aftermath import codes_in
from tests.harness.nursery import Death, Victim
from tests.harness.peers import Received, shown
from tests.harness.waiting import until
from tests.kill.exchanges import MINT
from tests.kill.world import World

SECRET = "a secret that must not be sent"


def mistyped(code: str) -> str:
    """Return the code with another word at its end."""
    return f"{code.rpartition('-')[0]}-mistyped"


def code_after(home: Path, victim: Victim, before: str | None) -> str:
    """Wait for a code other than *before* and return it."""

    def new() -> str | None:
        code = codes_in(home / "codes.csv").get("Ada")
        return None if code == before else code

    return until(new, victim.describe)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("mint", "while_running"),
    [(False, True), (True, False)],
    ids=["retried while it runs", "minted, retried afterwards"],
)
def test_wrong_code(world: World, mint: bool, while_running: bool) -> None:
    """The recipient is told, the flow is scared, and `retry` gives a code that works."""
    home = world.home()
    words: tuple[str, ...] = ("provision", "people.csv", "--codes", "codes.csv")
    people = f"name,secret\nAda,{SECRET}\n"
    if mint:
        (home / "mint").write_text(MINT)
        (home / "mint").chmod(0o700)
        words += ("--mint", f"{shlex.quote(str(home / 'mint'))} {{name}} runs")
    waiting = ()
    if while_running:
        # Bob never collects until the end, and keeps the process there.
        people += "Bob,another\n"
        waiting = ("Bob",)
    (home / "people.csv").write_text(people)

    # It stands still before it closes the mailbox, so that all it said can be looked at.
    first = world.start(home, *words, death=Death(halts=("close:before:1",)))
    code = code_after(home, first, None)
    wrong = world.peers.receive(mistyped(code))
    until(lambda: first.halted_at("close:before:1"), first.describe)
    phases = {row["phase"] for row in world.server.tables().messages}
    assert phases == {"pake", "version"}, "only these may have been said"
    first.go_on()
    failed = world.peers.wait(wrong)
    assert (failed.ok, failed.error) == (False, "WrongPasswordError"), failed
    until(lambda: "Ada: wrong code" in first.err, first.describe)
    assert not (home / "runs").exists(), "a secret was made for somebody with a wrong code"
    if not while_running:
        assert first.wait().status == 1
        world.check(home, Ada="scared")

    retried = world.start(home, "retry", "Ada").wait()
    assert retried.status == 0, retried
    second = first if while_running else world.start(home, *words)
    again = code_after(home, second, code)
    world.peers.receive(again)
    received = world.peers.wait(again)
    if mint:
        ((_, made),) = [line.split(" ", 1) for line in (home / "runs").read_text().splitlines()][:1]
        assert received == Received(True, shown(made))
    else:
        assert received == Received(True, shown(SECRET))
    for name in waiting:
        bobs = codes_in(home / "codes.csv")[name]
        world.peers.receive(bobs)
        assert world.peers.wait(bobs).ok
    assert second.wait().status == 0, second.describe()
    world.check(home, Ada="done", **dict.fromkeys(waiting, "done"))
    world.check_nothing_left()
