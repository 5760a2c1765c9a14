"""When those who write must wait, and when they may go on."""

from __future__ import annotations

import pytest

from holdfast.dilation.ledger import Ledger
from holdfast.dilation.level import (
    PAYLOAD,
    STORED_UNSENT,
    STORED_WINDOW,
    UNSENT,
    WINDOW,
    Level,
)


def level(*, stored: bool, payload: int, planned: int, unsent: int) -> Level:
    ledger = Ledger(unacked_bytes=payload + planned, planned_bytes=planned)
    made = Level(ledger, stored=stored)
    made.sent = payload + planned - unsent
    return made


@pytest.mark.parametrize(
    ("stored", "limit", "where"),
    [
        (False, UNSENT, "unsent"),
        (False, WINDOW, "payload"),
        (False, WINDOW, "planned"),
        (True, STORED_UNSENT, "unsent"),
        (True, PAYLOAD, "payload"),
        (True, STORED_WINDOW, "planned"),
    ],
)
def test_each_limit(stored: bool, limit: int, where: str) -> None:
    """At a limit all is well, above it no more is written, and well below it goes on."""

    def at(size: int) -> Level:
        sizes = {"payload": 0, "planned": 0, "unsent": 0, where: size}
        if where == "unsent":
            sizes["planned"] = size
        return level(stored=stored, **sizes)

    assert (at(limit).is_full(), at(limit + 1).is_full()) == (False, True)
    assert (at(limit).is_low(), at(limit // 4).is_low()) == (False, True)
    assert not (at(limit // 4).is_full() or at(limit + 1).is_low())


def test_what_is_planned_is_not_written_into_a_commit() -> None:
    """Much of it may be under way where little else may."""
    much = level(stored=True, payload=PAYLOAD, planned=4 * PAYLOAD, unsent=0)
    assert not much.is_full()
    assert level(stored=True, payload=PAYLOAD + 1, planned=0, unsent=0).is_full()
