"""The canonical histories of dilated wormholes, every point of which is tried."""

from __future__ import annotations

from attrs import frozen

from tests.simulation.dilation.script import Script


@frozen
class Dilated:
    """One of them.

    Args:
        name: what it is called.
        peer: who is at the other end.
        scripts: what is said.
        together: whether both ends die at each point.
        at_once: whether commits take no time.
        pairs: whether it is short enough for each pair of two deaths.
    """

    name: str
    peer: str
    scripts: tuple[Script, ...]
    together: bool = False
    at_once: bool = False
    pairs: bool = False


HISTORIES = (
    Dilated(
        "dilated, both ways",
        "stock leads",
        (Script("a", 0, (8, 8)), Script("b", 1, (4, 6), half=True)),
    ),
    Dilated("dilated, a plan out", "stock follows", (Script("a", 0, (24, 0), planned=True),)),
    Dilated(
        "dilated, one way in",
        "stock follows",
        (Script("a", 1, (0, 8)),),
        at_once=True,
        pairs=True,
    ),
    Dilated(
        "dilated, both die",
        "ours",
        (Script("a", 0, (8, 8)), Script("b", 1, (6, 6), planned=True, half=True)),
        together=True,
    ),
)


def named(name: str) -> Dilated:
    """Return the history of this name.

    Raises:
        ValueError: there is none.
    """
    for history in HISTORIES:
        if history.name == name:
            return history
    raise ValueError(f"no history is called {name!r}")
