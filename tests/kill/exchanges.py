"""The exchanges that are walked through: each takes the world and a death, and checks itself."""

import shlex
import stat
from pathlib import Path

from tests.harness.aftermath import codes_in
from tests.harness.nursery import Death, Victim
from tests.harness.peers import Received, shown
from tests.kill.world import Walked, World

MINT = """\
#!/bin/sh
made="made for $1 by process $$"
echo "$HOLDFAST_IDEMPOTENCY_KEY $made" >>"$2"
echo "$made"
"""


def provision(world: World, death: Death, *, mint: bool = False) -> Walked:
    """One person's secret, from a file or minted."""
    home = world.home()
    secret = f"the secret of {home.name}"
    (home / "people.csv").write_text(f"name,secret\nAda,{secret}\n")
    words: tuple[str | Path, ...] = ("provision", "people.csv", "--codes", "codes.csv")
    if mint:
        (home / "mint").write_text(MINT)
        (home / "mint").chmod(0o700)
        words += ("--mint", f"{shlex.quote(str(home / 'mint'))} {{name}} runs")
    given: list[str] = []

    def meanwhile(_: list[Victim]) -> None:
        code = codes_in(home / "codes.csv").get("Ada")
        if code is not None and not given:
            given.append(code)
            world.peers.receive(code)

    lives = world.live(home, words, death, meanwhile)
    received = world.peers.wait(given[0])
    world.check(home, Ada="done")
    assert codes_in(home / "codes.csv") == {"Ada": given[0]}
    assert received.ok, received
    if mint:
        runs = [line.split(" ", 1) for line in (home / "runs").read_text().splitlines()]
        assert len({key for key, _ in runs}) == 1, f"several keys: {runs}"
        assert len(runs) <= len(lives)
        assert received.text in [shown(made) for _, made in runs], (received, runs)
    else:
        assert received.text == shown(secret), received
    return _walked(lives)


def minted(world: World, death: Death) -> Walked:
    """One person's secret, made when they are there."""
    return provision(world, death, mint=True)


def made_file(world: World, death: Death) -> Walked:
    """One person's file, made when they are there, and gone when they have it."""
    home = world.home()
    (home / "people.csv").write_text("name\nAda\n")
    make = 'sh -c \'printf %s "$HOLDFAST_NAME" > "$HOLDFAST_FILE"\''
    words = ("provision", "people.csv", "--codes", "codes.csv", "--mint-file", make)
    given: list[str] = []

    def meanwhile(_: list[Victim]) -> None:
        code = codes_in(home / "codes.csv").get("Ada")
        if code is not None and not given:
            given.append(code)
            world.peers.receive(code, out=home / "got")

    lives = world.live(home, words, death, meanwhile)
    assert world.peers.wait(given[0]).ok
    world.check(home, Ada="done")
    assert (home / "got").read_text() == "Ada"
    assert list((home / "journal.db.private").iterdir()) == []
    return _walked(lives)


def send(world: World, death: Death) -> Walked:
    """A text sent by hand; its code is printed again by each life that has it."""
    home = world.home()
    text = f"sent from {home.name}"
    given: list[str] = []

    def meanwhile(lives: list[Victim]) -> None:
        # A life may be killed in the middle of its line.
        printed = {line for life in lives for line in life.out.splitlines(keepends=True)}
        codes = {line.strip() for line in printed if line.endswith("\n")}
        assert len(codes) <= 1, f"two codes for one text: {codes}"
        if codes and not given:
            given.extend(codes)
            world.peers.receive(given[0])

    lives = world.live(home, ("send", "--text", text), death, meanwhile)
    assert world.peers.wait(given[0]) == Received(True, shown(text))
    world.check_one(home, "done")
    return _walked(lives)


def receive(world: World, death: Death) -> Walked:
    """A text that a stock client sends, into a file."""
    home = world.home()
    text = f"received in {home.name},\nwhole or not at all"
    code = f"{7000 + world.number(home)}-left-alone"
    world.peers.send(code, text)
    lives = world.live(home, ("receive", code, "--out", "text"), death, lambda _: None)
    assert world.peers.wait(code).ok
    world.check_one(home, "done")
    written = home / "text"
    assert written.read_text() == text
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert not list(home.glob(".holdfast-*")), "a killed writer's leftover is still there"
    return _walked(lives)


def _walked(lives: list[Victim]) -> Walked:
    return Walked(lives[0].died_at, lives[0].moments, len(lives))
