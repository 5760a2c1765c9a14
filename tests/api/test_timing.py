"""`timing=`: off unless asked for, without secrets, and drawn as valid HTML and SVG."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import holdfast
from holdfast.operating.timing_diagram import Recording, draw
from holdfast.timing import MOST_EVENTS, WAYS, Moment, NotARecording, read
from tests.api.world import Net

SVG = "{http://www.w3.org/2000/svg}"


def recorded(net: Net) -> tuple[holdfast.DebugTiming, list[str]]:
    """A whole exchange, and all its secrets."""
    times = iter(range(10_000))
    timing = holdfast.DebugTiming(clock=lambda: next(times) / 8)
    ours, theirs = net.create(timing=timing, versions={"CANARYVERSION": 1}), net.create()
    ours.allocate_code()
    code = net.result(ours.get_code())
    theirs.set_code(code)
    ours.send_message(b"CANARYOURS")
    theirs.send_message(b"CANARYTHEIRS")
    net.run()
    key, verifier = net.result(ours.get_unverified_key()), net.result(ours.get_verifier())
    net.result(ours.close())
    secrets = [code, code.partition("-")[2], *code.split("-")[1:], key.hex(), verifier.hex()]
    return timing, [*secrets, "CANARY", b"CANARY".hex()]


def test_recording_is_off_by_default(net: Net) -> None:
    """Without `timing=` nothing is kept: there is nowhere to keep it."""
    ours, _ = net.pair()
    assert ours._inner._happening.options.timing is None


def test_every_message_is_recorded_when_it_went_and_came(net: Net) -> None:
    """What was asked and told, what was said and heard, and the connection; in order of time."""
    timing, _ = recorded(net)
    assert {each.way for each in timing.moments} == set(WAYS)
    assert [each.at for each in timing.moments] == sorted(each.at for each in timing.moments)
    words = [(each.way, each.what) for each in timing.moments]
    for expected in [
        ("connection", "connecting"),
        ("asked", "a new code of 2 words"),
        ("said", "allocate a nameplate"),
        ("told", "wormhole_got_code"),
        ("asked", "send 10 bytes"),
        ("told", "wormhole_got_message"),
        ("said", "close the mailbox, happy"),
        ("connection", "closed"),
    ]:
        assert expected in words


def test_a_recording_holds_no_secret(net: Net, tmp_path: Path) -> None:
    """Neither code, key, verifier, versions nor messages, in any form."""
    timing, secrets = recorded(net)
    path = tmp_path / "timing.json"
    timing.write(path)
    text = path.read_text()
    assert read(text) == timing.moments
    assert not [secret for secret in secrets if secret in text]


def test_a_recording_is_bounded() -> None:
    """One that is forgotten stops before it eats the memory."""
    timing = holdfast.DebugTiming(clock=lambda: 0.0)
    for _ in range(MOST_EVENTS + 5):
        timing.add("said", "x")
    assert len(timing.moments) == MOST_EVENTS


def test_the_diagram_is_a_valid_page(net: Net) -> None:
    """Well-formed, an SVG for each recording, an arrow or a line of news for each moment."""
    timing, secrets = recorded(net)
    page = draw([Recording("ours & <theirs>", timing.moments), Recording("empty", [])])
    document = ElementTree.fromstring(
        page.removeprefix("<!doctype html>\n")
        .replace('<meta charset="utf-8">', "")
        .replace("<style>", "<style><![CDATA[")
        .replace("</style>", "]]></style>")
    )
    first, second = document.iter(f"{SVG}svg")
    labels = [
        each.text for each in first.iter(f"{SVG}text") if each.get("class") in ("label", "news")
    ]
    assert labels == [each.what for each in timing.moments]
    assert [each.text for each in document.iter("h2")] == ["ours & <theirs>", "empty"]
    height = float(first.get("height", 0))
    assert all(float(each.get("y", 0)) < height for each in first.iter(f"{SVG}text"))
    assert len(list(second.iter(f"{SVG}text"))) == 3, "the lanes alone"
    assert not [secret for secret in secrets if secret in page]


@pytest.mark.parametrize("what", ["<script>alert(1)</script>", "\x00\x1b\ud800\u202e", "x" * 5000])
def test_whatever_a_recording_holds_the_page_is_valid(what: str) -> None:
    """A recording may come from anywhere; nothing in it is obeyed by a browser."""
    page = draw([Recording(what, [Moment(0.0, way, what) for way in WAYS])])
    page.encode()
    assert "<script>" not in page
    body = page[page.index("<svg ") : page.index("</svg>") + 6]
    assert len(ElementTree.fromstring(body)) > len(WAYS)


def test_long_waits_stand_out() -> None:
    """A second or more before a moment is marked, also after the time zero."""
    moments = [Moment(0.0, "said", "a"), Moment(0.5, "heard", "b"), Moment(2.0, "heard", "c")]
    page = draw([Recording("x", moments)])
    assert page.count('class="wait"') == 1
    assert ">2,000 ms<" in page


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 1, "moments": [[0, "said"]]}',
        '{"version": 1, "moments": [["x", "said", "x"]]}',
        '{"version": 2, "moments": []}',
        '{"version": 1, "moments": [[0, "sung", "x"]]}',
        "[" * 100_000,
    ],
    ids=range(10),
)
def test_what_is_no_recording_is_refused(text: str) -> None:
    """In words, whatever it is."""
    with pytest.raises(NotARecording, match=r"not a recording|another release"):
        read(text)


def test_a_recording_is_json(net: Net) -> None:
    """`to_json` gives JSON values."""
    timing, _ = recorded(net)
    data: Any = json.loads(json.dumps(timing.to_json()))
    assert data["version"] == 1
    assert len(data["moments"]) == len(timing.moments)
