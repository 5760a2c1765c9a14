"""A command that is killed at any moment of an exchange, and started again, finishes it.

All moments of `provision` are walked, and of the others those that differ; with EVERY_MOMENT set
in the environment, all of all.
"""

from tests.kill.exchanges import minted, provision, receive, send
from tests.kill.world import World

OUT_OF_TURN = 5
"""Moments that may not come again: what two threads do at the same time has no fixed order."""


def test_provision(world: World) -> None:
    """A person gets their secret exactly once, whatever the moment of the death."""
    missed = world.walk(provision, lambda moments: moments)
    assert len(missed) <= OUT_OF_TURN, missed


def test_provision_with_mint(world: World) -> None:
    """The command runs under one key, and what it made for that key arrives exactly once."""

    def since_the_peer(moments: list[str]) -> list[str]:
        return moments[moments.index("hear-version:before:1") : moments.index("close:after:1") + 1]

    missed = world.walk(minted, since_the_peer)
    assert len(missed) <= OUT_OF_TURN, missed


def test_send(world: World) -> None:
    """A text arrives exactly once, under the one code that was printed."""

    def until_the_end(moments: list[str]) -> list[str]:
        # The same command starts the next exchange once this one has ended, told or not.
        return moments[: moments.index("commit-closed:after:1")]

    missed = world.walk(send, lambda moments: until_the_end(moments)[::4])
    assert len(missed) <= OUT_OF_TURN, missed


def test_receive(world: World) -> None:
    """The sender is told that the text arrived, and the file holds it, whole."""

    def since_the_claim(moments: list[str]) -> list[str]:
        return moments[moments.index("claim:before:1") :]

    missed = world.walk(receive, since_the_claim)
    assert len(missed) <= OUT_OF_TURN, missed
