"""A command that is killed at any moment of an exchange, and started again, finishes it.

Every fiftieth moment of `provision` is walked, and of the others those that differ; with
EVERY_MOMENT set in the environment, all of all. (`tests/simulation/test_crashes.py` dies
everywhere, always.)
"""

import os

from tests.kill.exchanges import made_file, minted, provision, receive, send
from tests.kill.world import World

EVERY = bool(os.environ.get("EVERY_MOMENT"))


def test_provision(world: World) -> None:
    """A person gets their secret exactly once, whatever the moment of the death."""
    world.walk(provision, lambda moments: moments if EVERY else moments[::50])


def test_provision_with_mint(world: World) -> None:
    """The command runs under one key, and what it made for that key arrives exactly once."""

    def from_proof_to_message(moments: list[str]) -> list[str]:
        if EVERY:
            return moments
        first, last = moments.index("hear-version:before:1"), moments.index("add:after:3")
        return moments[first : last + 1 : 10]

    world.walk(minted, from_proof_to_message)


def test_provision_with_a_file_that_is_made(world: World) -> None:
    """It arrives, and is gone from this machine; but a stock client takes no second connection."""

    def but_for_the_connection(moments: list[str]) -> list[str]:
        go = moments.index("commit-activity:after:2")
        over = max(n for n, each in enumerate(moments) if each.startswith("commit-activity:after"))
        return [*moments[:go], *moments[over:]] if EVERY else [moments[over]]

    world.walk(made_file, but_for_the_connection)


def test_send(world: World) -> None:
    """A text arrives exactly once, under the one code that was printed."""

    def some(moments: list[str]) -> list[str]:
        # The last ones too: what was sent must not be sent again because nobody was told.
        return moments if EVERY else [*moments[:-4:60], *moments[-4::2]]

    world.walk(send, some)


def test_receive(world: World) -> None:
    """The sender is told that the text arrived, and the file holds it, whole."""

    def around_the_file(moments: list[str]) -> list[str]:
        if EVERY:
            return moments
        first, last = moments.index("hear-0:before:1"), moments.index("add:after:3")
        return [*moments[:first:48], *moments[first:last:16], *moments[last::32]]

    world.walk(receive, around_the_file)
