"""Events and notices go into JSON and come back; their descriptions never tell a secret."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

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

FIELDS: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    bytes: st.binary(max_size=20),
    int: st.integers(1, 100),
    bool: st.booleans(),
    str | None: st.none() | st.text(max_size=20),
    Mapping[str, Any]: st.dictionaries(st.text(max_size=5), st.none() | st.integers(), max_size=3),
}
KINDS = [*get_args(ev.Event), *get_args(out.Notice)]


@st.composite
def values(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(KINDS))
    types = get_type_hints(kind)
    return kind(**{each.name: draw(FIELDS[types[each.name]]) for each in attrs.fields(kind)})


def test_everything_has_a_code_that_is_its_own() -> None:
    """Every event, notice and frame has one short word."""
    assert set(CODES.values()) == set(KINDS)
    assert set(FRAME_CODES) == set(get_args(fr.Frame))
    assert len(set(FRAME_CODES.values())) == len(FRAME_CODES)


@given(values())
@settings(max_examples=4 * settings().max_examples, deadline=None)
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
        {"type": []},
        {"type": "set"},
        {"type": "set", "code": None},
        {"type": "set", "code": 4},
        {"type": "set", "code": "4-a", "discreet": 1},
        {"type": "allocate", "length": True},
        {"type": "allocate", "length": 2.0},
        {"type": "allocate", "length": "2"},
        {"type": "send", "plaintext": "no digits"},
        {"type": "send", "plaintext": None},
        {"type": "welcome", "welcome": []},
        {"type": "welcome", "welcome": [["motd", "x"]]},
        {"type": "refused", "error": "x"},
        {"type": "refused", "error": "x", "about": 1},
        {"type": "close", "x": 1},
    ],
    ids=str,
)
def test_what_is_no_event_is_refused(record: object) -> None:
    """Anything else is a BadCheckpoint."""
    with pytest.raises(BadCheckpoint):
        from_json(record)


STRUCTURED_ELSEWHERE = """
from typing import get_args
from cattrs import Converter
from holdfast.core import events as ev, notices as out
from holdfast.core.codec import from_json, to_json

SAMPLES = {
    "str": "x", "bytes": b"x", "int": 2, "bool": True, "str | None": None,
    "Mapping[str, Any]": {"x": 1},
}
for kind in (*get_args(ev.Event), *get_args(out.Notice)):
    value = kind(**{name: SAMPLES[text] for name, text in kind.__annotations__.items()})
    theirs = Converter()
    assert theirs.structure(theirs.unstructure(value), kind) == value
    assert from_json(to_json(value)) == value
    print(kind.__name__)
"""


def test_a_class_that_somebody_else_has_structured_is_read_as_before() -> None:
    """A converter of cattrs changes a class's annotations at its first use, also a foreign one."""
    command = [sys.executable, "-c", STRUCTURED_ELSEWHERE]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == [kind.__name__ for kind in KINDS]


def test_a_document_has_its_fields_in_one_order() -> None:
    """The text of an event in a journal is the same in every release."""
    event = ev.MessageArrived("us", "0", bytes.fromhex("00ff"))
    text = '{"type": "message", "side": "us", "phase": "0", "body": "00ff"}'
    assert json.dumps(to_json(event)) == text
    assert json.dumps(to_json(ev.SetCode("4-a"))) == (
        '{"type": "set", "code": "4-a", "discreet": false, "again": false}'
    )


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
@settings(max_examples=4 * settings().max_examples, deadline=None)
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
