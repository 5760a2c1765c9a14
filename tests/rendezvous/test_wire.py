"""What servers say is read as a value, as nothing, or as malformed; what we say is exact."""

import importlib.metadata
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import events as ev
from holdfast.core import frames as fr
from holdfast.crypto import OVERHEAD
from holdfast.rendezvous.wire import (
    LONGEST_NAME,
    Malformed,
    Nameless,
    Nameplates,
    Pong,
    read,
    write,
)
from holdfast.transfer.text import LONGEST_ENCODED, LONGEST_TEXT, encoded_size, offer

RELEASE = importlib.metadata.version("holdfast-wormhole")
DEEP = '{"type": "welcome", "welcome": ' + '{"a": ' * 900 + "1" + "}" * 901

MALFORMED = [
    "",
    " ",
    "{",
    "nonsense",
    "null",
    "1",
    '"text"',
    "[]",
    "{}",
    '{"type": null}',
    '{"type": 1}',
    '{"type": ["welcome"]}',
    '{"type": "welcome"}',
    '{"type": "welcome", "welcome": null}',
    '{"type": "welcome", "welcome": []}',
    '{"type": "welcome", "welcome": {"n": NaN}}',
    '{"type": "welcome", "welcome": {"n": Infinity}}',
    '{"type": "welcome", "welcome": {"n": 1e999}}',
    '{"type": "welcome", "welcome": {"motd": "' + "x" * 40_000 + '"}}',
    '{"type": "welcome", "welcome": {"n": ' + "1" * 5000 + "}}",
    DEEP,
    "[" * 100_000,
    '{"type": "allocated"}',
    '{"type": "allocated", "nameplate": 4}',
    '{"type": "allocated", "nameplate": ""}',
    '{"type": "allocated", "nameplate": "4-a"}',
    '{"type": "allocated", "nameplate": " 4"}',
    '{"type": "allocated", "nameplate": "４"}',
    '{"type": "allocated", "nameplate": "' + "1" * 41 + '"}',
    '{"type": "claimed"}',
    '{"type": "claimed", "mailbox": null}',
    '{"type": "claimed", "mailbox": ""}',
    '{"type": "claimed", "mailbox": "' + "m" * (LONGEST_NAME + 1) + '"}',
    '{"type": "error"}',
    '{"type": "error", "error": {}}',
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:50])
def test_what_no_server_may_send_is_malformed(text: str) -> None:
    """Each is refused, in words that quote nothing of it."""
    with pytest.raises(Malformed) as refusal:
        read(text)
    assert str(refusal.value).startswith("the server ")
    assert len(str(refusal.value)) < 100


READ: list[tuple[dict[str, Any], object]] = [
    ({"type": "welcome", "welcome": {"motd": "hi"}}, ev.Welcomed({"motd": "hi"})),
    ({"type": "allocated", "nameplate": "4"}, ev.Allocated("4")),
    ({"type": "claimed", "mailbox": "m"}, ev.Claimed("m")),
    ({"type": "released"}, ev.NameplateReleased()),
    ({"type": "closed"}, ev.MailboxClosed()),
    ({"type": "pong", "pong": 0}, Pong()),
    ({"type": "ack", "id": "1234"}, None),
    ({"type": "nameplates", "nameplates": []}, Nameplates(frozenset())),
    (
        {"type": "nameplates", "nameplates": [{"id": "4"}, {"id": 5}, {"id": "x"}, "6", {}]},
        Nameplates(frozenset({"4"})),
    ),
    ({"type": "of the future", "x": 1}, None),
    ({"type": "error", "error": "e", "orig": {"type": "open"}}, ev.Refused("e", "open")),
    ({"type": "error", "error": "e", "orig": {"type": 1}}, ev.Refused("e", None)),
    ({"type": "error", "error": "e", "orig": "x"}, ev.Refused("e", None)),
    ({"type": "error", "error": "e"}, ev.Refused("e", None)),
    ({"type": "error", "error": ""}, ev.Refused("", None)),
    ({"type": "error", "error": "x" * 3000}, ev.Refused("x" * 2000, None)),
]


@pytest.mark.parametrize(("frame", "event"), READ, ids=lambda value: str(value)[:40])
def test_what_servers_say_is_read(frame: dict[str, Any], event: object) -> None:
    """Every kind of frame, with keys that nobody knows beside."""
    assert read(json.dumps({**frame, "server_tx": 1.5, "unknown": [1]})) == event


def test_the_longest_text_in_its_frame() -> None:
    """A text that may be handed over fits, as the server passes it on, into 32 KiB."""
    texts = ("x" * LONGEST_TEXT, "\n" * ((LONGEST_ENCODED - 2) // 2))
    for text in texts:
        assert encoded_size(text) <= LONGEST_ENCODED
        sealed = offer(text) + bytes(OVERHEAD)
        frame = {**json.loads(write(fr.Add("0", sealed.hex()), "0a1b")), "type": "message"}
        passed_on = {**frame, "side": "5" * 10, "server_rx": 1.7e9 + 1e-6, "server_tx": 1.7e9}
        assert len(json.dumps(passed_on)) <= 32 * 1024


MESSAGES: list[tuple[object, object, object, object]] = [
    ("s", "0", "00ff", ev.MessageArrived("s", "0", b"\x00\xff")),
    ("s", "pake", "", ev.MessageArrived("s", "pake", b"")),
    ("s", "0", "0", ev.MessageArrived("s", "0", b"")),
    ("s", "0", "xx", ev.MessageArrived("s", "0", b"")),
    ("s", "0", None, ev.MessageArrived("s", "0", b"")),
    ("s", "0", {"a": 1}, ev.MessageArrived("s", "0", b"")),
    ("", "", "00", ev.MessageArrived("", "", b"\x00")),
    ("\ud800", "0", "00", ev.MessageArrived("\ud800", "0", b"\x00")),
    (None, "0", "00", Nameless()),
    ("s", 0, "00", ev.MessageArrived("s", "0", b"\x00")),
    ("s", -0, "00", ev.MessageArrived("s", "0", b"\x00")),
    ("s", 12, "00", ev.MessageArrived("s", "12", b"\x00")),
    ("s", -1, "00", ev.MessageArrived("s", "-1", b"\x00")),
    ("s", 10**200, "00", Nameless()),
    ("s", 0.0, "00", Nameless()),
    ("s", 1e300, "00", Nameless()),
    ("s", True, "00", Nameless()),
    ("s", [0], "00", Nameless()),
    ("s", None, "00", Nameless()),
    ("s" * 201, "0", "00", Nameless()),
    ("s", "0" * 201, "00", Nameless()),
]


@pytest.mark.parametrize(
    ("side", "phase", "body", "event"), MESSAGES, ids=lambda value: str(value)[:20]
)
def test_a_peers_rubbish_is_not_the_servers(
    side: object, phase: object, body: object, event: object
) -> None:
    """The server passes messages on unread: one without a name is dropped, bad hex is empty."""
    message = {"type": "message", "side": side, "phase": phase, "body": body}
    assert read(json.dumps(message)) == event


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "welcome", "nameplate", "mailbox", "error", "orig", "body"]
                ),
                inner,
            )
            | st.fixed_dictionaries(
                {
                    "type": st.sampled_from(
                        ["welcome", "allocated", "claimed", "message", "error"]
                    ),
                    "welcome": inner,
                    "nameplate": inner,
                    "mailbox": inner,
                    "side": inner,
                    "phase": inner,
                    "body": inner,
                    "error": inner,
                    "orig": inner,
                }
            )
        ),
        max_leaves=8,
    ).map(json.dumps)
)
@settings(max_examples=6 * settings().max_examples, deadline=None)
def test_any_text_is_a_value_or_nothing_or_malformed(text: str) -> None:
    """Nothing that a server sends raises anything but Malformed."""
    try:
        event = read(text)
    except Malformed:
        return
    assert event is None or isinstance(event, Pong | Nameless | ev.Event)


WRITTEN: list[tuple[fr.Frame, dict[str, Any]]] = [
    (
        fr.Bind("app", "side"),
        {"type": "bind", "appid": "app", "side": "side", "client_version": ["holdfast", RELEASE]},
    ),
    (fr.Allocate(), {"type": "allocate"}),
    (fr.Claim("4"), {"type": "claim", "nameplate": "4"}),
    (fr.Open("m"), {"type": "open", "mailbox": "m"}),
    (fr.ListNameplates(), {"type": "list"}),
    (fr.ListNameplates("4"), {"type": "list", "holdfast-only": "4"}),
    (fr.Ping(), {"type": "ping", "ping": 0}),
    (fr.Add("0", "00ff"), {"type": "add", "phase": "0", "body": "00ff"}),
    (fr.Release("4"), {"type": "release", "nameplate": "4"}),
    (fr.CloseMailbox("m", "happy"), {"type": "close", "mailbox": "m", "mood": "happy"}),
]


@pytest.mark.parametrize(("frame", "expected"), WRITTEN, ids=lambda value: str(value)[:20])
def test_what_we_say_is_exact(frame: fr.Frame, expected: dict[str, Any]) -> None:
    """Each frame is one JSON object with an id and the keys of server-protocol.md."""
    assert json.loads(write(frame, "1a2b")) == {**expected, "id": "1a2b"}
