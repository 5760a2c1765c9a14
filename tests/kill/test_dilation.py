"""A dilated wormhole whose process is killed goes on, and its peer sees only a reconnection.

Every record is checked at both ends, and every close. One-way traffic has tests of its own: where
both ways are busy, the commits of the one save by accident what the other has forgotten to save.
SEED in the environment replays the moments, as far as processes can be replayed. A few moments of
small exchanges are walked; with EVERY_MOMENT set, all of all.
"""

import os
import random
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from tests.harness.dilated import HIGHEST, LOWEST, DilatedPeers
from tests.harness.nursery import Death
from tests.harness.server import MailboxServer
from tests.harness.streams import Stream
from tests.kill.dilations import (
    check_end,
    check_stock,
    died_at,
    new_code,
    our_end,
    somewhere,
    walk,
)
from tests.kill.transfers import End, live, wait
from tests.kill.world import World

pytestmark = pytest.mark.long

EVERY = bool(os.environ.get("EVERY_MOMENT"))
SEED = os.environ.get("SEED") or secrets.token_hex(4)

KILLS = 10 if EVERY else 3
MANY = 150 if EVERY else 40

TRAFFIC = {
    "both ways": (
        Stream("planned", "a", a=MANY, b=MANY, sizes="mixed", half=True),
        Stream("live", "b", a=MANY, b=MANY, live=True),
    ),
    "out": (
        Stream("planned", "a", a=MANY),
        Stream("live", "a", a=MANY, live=True),
        Stream("theirs", "b", a=MANY, sizes="mixed"),
    ),
    "in": (Stream("one", "a", b=MANY, sizes="mixed"), Stream("other", "b", b=MANY)),
}
"""As our end sees it."""

ROLES = {"leads": HIGHEST, "follows": LOWEST}
EACH = [(role, traffic) for role in ROLES for traffic in TRAFFIC]


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    print(f"SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="module")
def stock(world: World) -> Iterator[DilatedPeers]:
    with DilatedPeers(world.server.url) as peers:
        yield peers


@pytest.fixture
def alone(tmp_path: Path, world: World) -> Iterator[World]:
    """A world whose mailbox server nobody else needs."""
    with closing(MailboxServer(tmp_path)) as server:
        server.start()
        yield evolve(world, folder=tmp_path, server=server, lost_nameplates=0)


@pytest.mark.parametrize(("role", "traffic"), EACH)
def test_killed_again_and_again(
    world: World, stock: DilatedPeers, rng: random.Random, role: str, traffic: str
) -> None:
    """In mid-stream, wherever that is."""
    streams, code = TRAFFIC[traffic], new_code(world)
    stock.start(code, streams)
    deaths = somewhere(rng, KILLS, sends="ack" if traffic == "in" else "data")
    ours = our_end(world, code, streams, deaths, side=ROLES[role])
    live(ours)
    check_end(ours, streams)
    check_stock(stock, code, streams)
    assert died_at(ours), "what is left may come in one piece; not all of it"


def test_dead_for_a_while_and_the_mailbox_server_too(alone: World, rng: random.Random) -> None:
    """The peer's connection to the server is lost as well; both come back to where they were."""
    streams, code = TRAFFIC["both ways"], new_code(alone)
    with DilatedPeers(alone.server.url) as stock:
        stock.start(code, streams)
        ours = our_end(alone, code, streams, [Death(at="took:after:5"), *somewhere(rng, 1)])
        wait(lambda: ours.lives and ours.lives[0].died_at, ours)
        alone.server.kill9()
        ours.start()
        ours.lives[-1].kill9()
        alone.server.start()
        live(ours)
        check_end(ours, streams)
        check_stock(stock, code, streams)


def test_both_are_ours_and_both_are_killed(world: World, rng: random.Random) -> None:
    """Also at the same time."""
    streams, code = TRAFFIC["both ways"], new_code(world)
    ends = [
        our_end(world, code, streams, somewhere(rng, KILLS, 40), end=end, side=side, ping=1.0)
        for end, side in (("a", LOWEST), ("b", HIGHEST))
    ]
    live(*ends)
    for end in ends:
        check_end(end, streams)
        assert died_at(end), end.describe()


@pytest.mark.parametrize(("role", "traffic"), EACH if EVERY else EACH[:1])
def test_killed_once(world: World, stock: DilatedPeers, role: str, traffic: str) -> None:
    """From the first frame to the mailbox server to the last, in a small exchange."""
    streams = tuple(
        evolve(stream, a=min(stream.a, 6), b=min(stream.b, 6)) for stream in TRAFFIC[traffic]
    )

    def exchange(death: Death) -> End:
        code = new_code(world)
        stock.start(code, streams)
        ours = our_end(world, code, streams, [death], side=ROLES[role])
        live(ours)
        check_end(ours, streams)
        check_stock(stock, code, streams)
        return ours

    walk(exchange, 1 if EVERY else 70)
