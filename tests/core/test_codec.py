"""Events and notices go into JSON and come back; their descriptions never tell a secret."""

import json
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import events as ev
from holdfast.core import frames as fr
from holdfast.core import notices as out
from holdfast.core.codec import CODES, FRAME_CODES, code_of, from_json, to_json
from holdfast.core.describe import heard, said
from holdfast.errors import BadCheckpoint

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
    "int": st.integers(1, 100),
    "bool": st.booleans(),
    "str | None": st.none() | st.text(max_size=20),
    "Mapping[str, Any]": st.dictionaries(
        st.text(max_size=5), st.none() | st.integers(), max_size=3
    ),
}
KINDS = [*get_args(ev.Event), *get_args(out.Notice)]


@st.composite
def values(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(KINDS))
    return kind(**{each.name: draw(FIELDS[each.type]) for each in attrs.fields(kind)})


def test_everything_has_a_code_that_is_its_own() -> None:
    """Every event, notice and frame has one short word."""
    assert set(CODES.values()) == set(KINDS)
    assert set(FRAME_CODES) == set(get_args(fr.Frame))
    assert len(set(FRAME_CODES.values())) == len(FRAME_CODES)


@given(values())
@settings(max_examples=200, deadline=None)
def test_everything_comes_back(value: Any) -> None:
    """Written as JSON and read again, every event and notice is what it was."""
    again = from_json(json.loads(json.dumps(to_json(value))))
    assert again == value
    assert type(again) is type(value)
    assert to_json(value)["type"] == code_of(value)


@pytest.mark.parametrize(
    "record",
    [
        None,
        1,
        "x",
        [],
        {},
        {"type": "no such"},
        {"type": "set", "code": None},
        {"type": "close", "x": 1},
    ],
    ids=str,
)
def test_what_is_no_event_is_refused(record: object) -> None:
    """Anything else is a BadCheckpoint."""
    with pytest.raises(BadCheckpoint):
        from_json(record)


SECRET = "5ec2e7"
SECRETIVE = [
    ev.SetCode(SECRET),
    ev.SendMessage(SECRET.encode()),
    ev.Allocated(SECRET),
    ev.MessageArrived("peer", "0", bytes.fromhex(SECRET)),
    ev.MessageArrived("us", "0", bytes.fromhex(SECRET)),
    ev.MessageArrived("peer", SECRET, b""),
    ev.Welcomed({"motd": SECRET}),
    ev.Claimed(SECRET),
]
FRAMES = [
    fr.Bind("appid", "us"),
    fr.Allocate(),
    fr.Claim(SECRET),
    fr.Open("m"),
    fr.Ping(),
    fr.Add("0", SECRET),
    fr.Add("pake", SECRET),
    fr.Release(SECRET),
    fr.CloseMailbox("m", "happy"),
]


@pytest.mark.parametrize("event", SECRETIVE, ids=lambda event: type(event).__name__)
def test_no_description_of_an_event_tells_a_secret(event: ev.Event) -> None:
    """The log says what happened, never what was in it."""
    assert SECRET not in heard(event, "us")


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_no_description_of_a_frame_tells_a_secret(frame: fr.Frame) -> None:
    """Nor does it say what was in a frame, and nor does its repr."""
    assert SECRET not in (said(frame) or "")
    assert SECRET not in repr(frame)


@given(values().filter(lambda value: isinstance(value, get_args(ev.Event))))
@settings(max_examples=200, deadline=None)
def test_every_description_is_one_short_printable_line(event: Any) -> None:
    """Servers choose some of the words: they are bounded and made printable."""
    text = heard(event, "us")
    assert text and text.isprintable() and len(text) < 500


@pytest.mark.parametrize(
    "secretive",
    [
        out.GotCode(SECRET),
        out.GotUnverifiedKey(SECRET.encode()),
        out.GotVerifier(SECRET.encode()),
        out.GotVersions({SECRET: 1}),
        out.GotMessage(SECRET.encode()),
        ev.SetCode(SECRET),
        ev.SendMessage(SECRET.encode()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_repr_tells_a_secret(secretive: object) -> None:
    """A traceback or a log may hold the repr of anything."""
    assert SECRET not in repr(secretive)
