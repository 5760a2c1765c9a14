"""A file to and from stock clients, while our command is killed at any moment, and started again.

Up to the choice of a connection nothing is lost. After it a stock client takes no other one: the
status says what the other side can have, and what came is kept. EVERY_MOMENT as in the others.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.nursery import Death
from tests.harness.peers import (
    WilliamFailed,
    code_of,
    needs_william,
    william_receive_file,
    wormhole_receive_file,
    wormhole_send_file,
)
from tests.harness.process import NO_RELAY, Child
from tests.kill import transfers
from tests.kill.transfers import PATIENCE, check_whole, inbox, live, make, names
from tests.kill.world import Walked, World

EVERY = bool(os.environ.get("EVERY_MOMENT"))
OUT_OF_TURN = 5

Receives = Callable[[str, str, Path], Child]


def sending(world: World, death: Death, *, receives: Receives = wormhole_receive_file) -> Walked:
    """We send and die; the other client waits at its end."""
    what = make(world.folder / f"{world.home().name}.bin")
    sender = transfers.sender(world, what, deaths=[death])
    into = inbox(sender.home)
    into.mkdir()
    with receives(world.server.url, transfers.code_of(sender), into) as peer:
        live(sender)
        ended = peer.wait(PATIENCE)
        arrived = into / what.name
        whole = arrived.exists() and arrived.read_bytes() == what.read_bytes()
        dead = sender.lives[0]
        if sender.status == 0:
            assert whole and ended.status == 0, peer.describe()
            world.check_one(sender.home, "done")
        else:
            assert "commit-activity:after:2" in dead.moments, (dead.died_at, sender.describe())
            world.check_one(sender.home, "failed")
            assert not arrived.exists() or whole
            doubt = "ask whether" in sender.reason
            assert doubt or not whole, sender.reason
    return Walked(dead.died_at, dead.moments, len(sender.lives))


def sending_to_william(world: World, death: Death) -> Walked:
    """The same to the Go client; anew if that has failed by itself, as one time in 256."""
    for _ in range(3):
        with suppress(WilliamFailed):
            return sending(world, death, receives=william_receive_file)
        world.lost_nameplates += 1  # it does not tidy up then
    raise WilliamFailed


def receiving(world: World, death: Death) -> Walked:
    """The other client sends; we die."""
    what = make(world.folder / f"{world.home().name}.bin")
    with wormhole_send_file(world.server.url, what) as peer:
        receiver = transfers.receiver(world, code_of(peer), deaths=[death])
        live(receiver)
        ended = peer.wait(PATIENCE)
    dead = receiver.lives[0]
    if receiver.status == 0:
        check_whole(what, receiver)
        assert ended.status == 0 or len(receiver.lives) == 2, peer.describe()
    else:
        world.check_one(receiver.home, "failed")
        assert ended.status != 0, peer.describe()
        kept = [f"{what.name}.part"] if "these are kept in" in receiver.reason else []
        assert names(receiver) == kept, receiver.reason
        for name in kept:
            prefix = (inbox(receiver.home) / name).read_bytes()
            assert what.read_bytes().startswith(prefix)
            assert f"after {len(prefix):,} of {len(what.read_bytes()):,} bytes" in receiver.reason
    return Walked(dead.died_at, dead.moments, len(receiver.lives))


def chosen(moments: list[str], first: str, last: str, before: int, after: int) -> list[str]:
    """So many between these two moments, and so many behind the second; or all."""
    if EVERY:
        return moments
    start, go = moments.index(first), moments.index(last)
    return [
        *moments[start : go : max(1, (go - start) // before)],
        *moments[go :: max(1, (len(moments) - go) // after)],
    ]


def test_sending(world: World) -> None:
    """The recipient gets it under the one code, or the status says what they can have."""

    def some(moments: list[str]) -> list[str]:
        return chosen(moments, "hear-version:before:1", "commit-activity:before:2", 1, 2)

    world.walk(sending, some)


@needs_william
def test_sending_to_william(world: World) -> None:
    """It dials us once, as soon as it has accepted. So nobody may be away just then."""

    def some(moments: list[str]) -> list[str]:
        before = moments[: moments.index("add:before:3")]
        after = moments[moments.index("commit-activity:after:2") :]
        if not EVERY:
            return [before[-5], after[len(after) // 2]]
        # A look may come late, while it dials.
        return [at for at in before + after if not at.startswith("take:")]

    world.walk(sending_to_william, some)


def test_receiving(world: World) -> None:
    """It comes whole, or what came is kept under another name, and the status says so."""

    def some(moments: list[str]) -> list[str]:
        return chosen(moments, "hear-version:before:1", "commit-activity:before:2", 1, 2)

    world.walk(receiving, some)


@pytest.mark.parametrize("how", ["touched", *(["truncated", "replaced"] if EVERY else [])])
@pytest.mark.parametrize("to", ["stock", *(["holdfast"] if EVERY else [])])
def test_what_is_sent_changes_on_its_way(world: World, how: str, to: str) -> None:
    """Nobody has a mixture: all of what was offered, or nothing, and both sides are told why."""
    what = make(world.folder / f"{how}-{to}.bin")
    old, halt = what.read_bytes(), "record:before:6"
    sender = transfers.sender(world, what, deaths=[Death(halts=(halt,))])
    code = transfers.code_of(sender)
    into = inbox(world.home())
    into.mkdir(parents=True)
    words = ("receive", code, "--accept", "--output-dir", into)
    with (
        wormhole_receive_file(world.server.url, code, into)
        if to == "stock"
        else world.start(world.home(), *words, death=None, **NO_RELAY)
    ) as peer:
        transfers.wait(lambda: sender.lives and sender.lives[0].halted_at(halt), sender)
        if how == "touched":
            os.utime(what)
        elif how == "truncated":
            os.truncate(what, len(old) // 2)
        else:
            other = make(world.folder / f"other-{how}-{to}.bin")
            other.replace(what)
        sender.lives[0].go_on()
        live(sender)
        ended = peer.wait(PATIENCE)
    arrived = into / what.name
    if how == "replaced":  # it was open: what was offered went to its end
        assert (sender.status, ended.status) == (0, 0), sender.describe()
        assert arrived.read_bytes() == old
    else:
        assert (sender.status, ended.status) == (1, 1), sender.describe()
        assert "has changed meanwhile" in sender.reason
        assert "has changed meanwhile" in peer.out + peer.err or to == "stock", peer.describe()
        assert not arrived.exists()
