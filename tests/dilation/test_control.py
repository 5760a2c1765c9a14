"""What the two sides tell each other through the mailbox, and what a peer might say instead."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.dilation.control import (
    Control,
    Hints,
    Ignored,
    Please,
    Reconnect,
    Reconnecting,
    read,
    write,
    write_hints,
)
from holdfast.transit.hints import MOST, DirectHint, RelayHint, encode

SIDE = "0123456789abcdef"
DIRECT = DirectHint("192.0.2.1", 4001)
HINTS = (DIRECT, RelayHint((DirectHint("relay.example", 4002, 1.5),)))

SAID: list[tuple[Control, dict[str, Any]]] = [
    (Please(SIDE), {"type": "please", "side": SIDE, "use-version": "ged", "holdfast": 1}),
    (Please(SIDE, "ged", False), {"type": "please", "side": SIDE, "use-version": "ged"}),
    (Hints(HINTS), {"type": "connection-hints", "hints": encode(HINTS)}),
    (Hints(()), {"type": "connection-hints", "hints": []}),
    (Reconnect(), {"type": "reconnect"}),
    (Reconnecting(), {"type": "reconnecting"}),
]


@pytest.mark.parametrize(("control", "message"), SAID)
def test_on_the_wire(control: Control, message: dict[str, Any]) -> None:
    """Each is a JSON object, and more in it does no harm."""
    assert json.loads(write(control)) == message
    assert read(write(control)) == control
    assert read(json.dumps(message | {"more": [1, {}]}).encode()) == control


def test_hints_of_a_contest() -> None:
    """Those are JSON values already."""
    assert write_hints(encode(HINTS)) == write(Hints(HINTS))


def test_hostile_hints() -> None:
    """The good ones are taken, and not too many."""
    bad = [None, 1, [], {"type": "x"}, {"type": "direct-tcp-v1", "hostname": 5, "port": "x"}]
    good = encode([DIRECT] * (MOST + 50))
    assert read(write_hints([*bad, *good[:1]])) == Hints((DIRECT,))
    heard = read(write_hints(good))
    assert isinstance(heard, Hints) and len(heard.hints) == MOST
    for hints in (None, 5, {}, "x"):
        assert read(json.dumps({"type": "connection-hints", "hints": hints}).encode()) == Hints(())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b'{"type": NaN}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'"please"', "no JSON object"),
        (b"{}", "an unknown type of message"),
        (b'{"type": "goodbye"}', "an unknown type of message"),
        (b'{"type": ["please"]}', "an unknown type of message"),
        (b'{"type": "please"}', "a please without a side"),
        (b'{"type": "please", "side": 5}', "a please without a side"),
        (b'{"type": "please", "side": ""}', "a please without a side"),
        (b'{"type": "please", "side": "\\ud800"}', "a please without a side"),
        (b'{"type": "please", "side": "' + b"a" * 65 + b'"}', "a please without a side"),
    ],
)
def test_nonsense(body: bytes, why: str) -> None:
    """It is ignored, and a few words say why."""
    assert read(body) == Ignored(why)


def test_a_please_without_a_version() -> None:
    """Stock never looks at it."""
    assert read(b'{"type": "please", "side": "a", "holdfast": true}') == Please("a", "", True)
    assert read(b'{"type": "please", "side": "a", "holdfast": "1"}') == Please("a", "", False)


@given(st.binary(max_size=100))
def test_any_bytes(body: bytes) -> None:
    """There is always a value."""
    assert isinstance(read(body), Please | Hints | Reconnect | Reconnecting | Ignored)
