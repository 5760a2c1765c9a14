"""What the two sides of a transfer say: the bytes that stock clients expect, and any that come."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.transfer import messages
from holdfast.transfer.messages import (
    LARGEST,
    LONGEST_NAME,
    Offer,
    OfferAccepted,
    OtherAnswer,
    OtherOffer,
    PeerSaysNo,
    Received,
    Said,
    TextAccepted,
    TextOffer,
    Transit,
)
from holdfast.transit import hints

DIGEST = "ab" * 32
HINT = hints.DirectHint("192.0.2.1", 4001)
KINDS = (
    *(TextOffer, Offer, OtherOffer, Transit, OtherAnswer),
    *(TextAccepted, OfferAccepted, Received, PeerSaysNo),
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            messages.offer(Offer("file", "a", 3, 1, 3)),
            b'{"offer": {"file": {"filename": "a", "filesize": 3}}}',
        ),
        (
            messages.offer(Offer("folder", "\xfc", 300, 2, 100, DIGEST)),
            b'{"offer": {"directory": {"mode": "zipfile/deflated", "dirname": "\\u00fc",'
            b' "zipsize": 300, "numbytes": 100, "numfiles": 2, "sha256": "%b"}}}' % DIGEST.encode(),
        ),
        (
            messages.transit(hints.abilities(), hints.encode([HINT])),
            (
                b'{"transit": {"abilities-v1": [{"type": "direct-tcp-v1"}, {"type": "relay-v1"}],'
                b' "hints-v1": [{"type": "direct-tcp-v1", "hostname": "192.0.2.1", "port": 4001,'
                b' "priority": 0.0}]}}'
            ),
        ),
        (messages.accept_text(), b'{"answer": {"message_ack": "ok"}}'),
        (messages.accept_offer(), b'{"answer": {"file_ack": "ok"}}'),
        (messages.received(DIGEST), b'{"answer": {"received": "%b"}}' % DIGEST.encode()),
        (messages.refuse("no \xfc"), b'{"error": "no \\u00fc"}'),
    ],
)
def test_what_is_said(message: bytes, said: bytes) -> None:
    """One top-level key a message, in the types that every client reads, and in ASCII."""
    assert message == said
    assert len(json.loads(message)) == 1


FILE = {"filename": "a", "filesize": 3}
FOLDER = {
    "mode": "zipfile/deflated",
    "dirname": "d",
    "zipsize": 300,
    "numbytes": 100,
    "numfiles": 2,
}


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ({"offer": {"file": FILE}}, [Offer("file", "a", 3, 1, 3)]),
        ({"offer": {"file": {**FILE, "more": []}, "x": 1}}, [Offer("file", "a", 3, 1, 3)]),
        ({"offer": {"file": {**FILE, "sha256": DIGEST}}}, [Offer("file", "a", 3, 1, 3, DIGEST)]),
        ({"offer": {"file": {**FILE, "sha256": DIGEST.upper()}}}, [Offer("file", "a", 3, 1, 3)]),
        ({"offer": {"file": {**FILE, "sha256": 7}}}, [Offer("file", "a", 3, 1, 3)]),
        (
            {"offer": {"file": {"filename": "x\udcff/../y", "filesize": LARGEST}}},
            [Offer("file", "x\udcff/../y", LARGEST, 1, LARGEST)],
        ),
        ({"offer": {"directory": FOLDER}}, [Offer("folder", "d", 300, 2, 100)]),
        (
            {"offer": {"directory": {**FOLDER, "mode": "zipfile"}}},
            [Offer("folder", "d", 300, 2, 100)],
        ),
        ({"offer": {"message": ""}}, [TextOffer("")]),
        ({"offer": {"song": 1}}, [OtherOffer()]),
        ({"offer": {}}, [OtherOffer()]),
        ({"transit": {"hints-v1": [1], "x": 1}}, [Transit([1])]),
        ({"transit": {"hints-v1": None}}, [Transit(None)]),
        ({"transit": None}, [Transit(None)]),
        ({"answer": {"message_ack": "ok"}}, [TextAccepted()]),
        ({"answer": {"file_ack": "ok", "x": 1}}, [OfferAccepted()]),
        ({"answer": {"received": DIGEST}}, [Received(DIGEST)]),
        ({"answer": {"received": DIGEST.upper()}}, [Received("")]),
        ({"answer": {"received": None}}, [Received("")]),
        ({"answer": {"later": 1}}, []),
        ({"error": "a\x1b[2J\u202eb\udcff"}, [PeerSaysNo("a [2J b ")]),
        ({"error": {"a": [1]}}, [PeerSaysNo("{'a': [1]}")]),
        ({"error": "x" * 1000}, [PeerSaysNo("x" * 200)]),
        ({"error": "no", "offer": {"file": FILE}}, [PeerSaysNo("no")]),
        ({"dilate": 1}, []),
        ({}, []),
        (
            {"transit": {}, "answer": {"file_ack": "ok"}, "offer": {"message": "m"}},
            [Transit(None), TextOffer("m"), OfferAccepted()],
        ),
    ],
)
def test_what_is_heard(said: object, heard: list[Said]) -> None:
    """Who says several things at once is heard; what is not known is passed over."""
    assert messages.read(json.dumps(said).encode()) == tuple(heard)


def with_file(**changes: Any) -> dict[str, Any]:
    return {"offer": {"file": {**FILE, **changes}}}


def with_folder(**changes: Any) -> dict[str, Any]:
    return {"offer": {"directory": {**FOLDER, **changes}}}


def each_of(make: Callable[[Any], object], *values: object) -> list[object]:
    return [make(value) for value in values]


MALFORMED = [
    *each_of(lambda it: it, [], "text", 7, None),
    *each_of(lambda it: {"offer": it}, None, [], "file", 7),
    *each_of(lambda it: {"offer": {"message": it}}, None, 7, [], {}),
    *each_of(lambda it: {"offer": {"file": it}}, None, [], "a", {}),
    *each_of(lambda it: with_file(filename=it), None, "", 7, [], "x" * (LONGEST_NAME + 1)),
    *each_of(lambda it: with_file(filesize=it), None, -1, 2**63, 10**4000, 3.0, True, "3"),
    *each_of(lambda it: with_folder(mode=it), None, 7, "tarball", ""),
    *each_of(lambda it: with_folder(dirname=it), None, "", 7),
    *each_of(lambda it: with_folder(zipsize=it), None, -1, 2**63, 1e300),
    *each_of(lambda it: with_folder(numfiles=it), None, -1, "2"),
    *each_of(lambda it: with_folder(numbytes=it), None, -1, False),
]


@pytest.mark.parametrize(
    "message",
    [
        *(json.dumps(each).encode() for each in MALFORMED),
        *(b"", b"\xff", b"{", b'{"error": NaN}', b'{"error": 1e999}'),
        b'{"error": %b1%b}' % (b"[" * 60, b"]" * 60),
        b'{"error": %b' % (b"[" * 100_000),
        b'{"offer": {"file": {"filename": "a", "filesize": %b}}}' % (b"9" * 5000),
    ],
    ids=repr,
)
def test_what_is_malformed(message: bytes) -> None:
    """It is a ValueError, whose words quote nothing, and are short enough to be said."""
    with pytest.raises(ValueError, match=r"^the peer") as error:
        messages.read(message)
    assert len(str(error.value)) < 100


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(DIGEST),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    (
        *("offer", "file", "directory", "message", "filename", "filesize", "mode", "dirname"),
        *("zipsize", "numbytes", "numfiles", "sha256", "transit", "hints-v1", "answer"),
        *("file_ack", "message_ack", "received", "error"),
    )
)
TREES = st.recursive(
    VALUES | st.just("ok") | st.just("zipfile/deflated"),
    lambda inner: st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=3).map(lambda value: json.dumps(value).encode()))
def test_anything(message: bytes) -> None:
    """Whatever a peer says, it is understood, passed over, or malformed; and hints are bounded."""
    try:
        heard = messages.read(message)
    except ValueError as error:
        assert str(error).startswith("the peer")
        return
    for said in heard:
        assert isinstance(said, KINDS)
        if isinstance(said, Transit):
            assert len(hints.parse(said.hints)) <= hints.MOST
        if isinstance(said, PeerSaysNo):
            assert said.error.isprintable()


@pytest.mark.parametrize(
    "answer",
    [None, "ok", [], 7, *({"file_ack": it} for it in (None, "no", True, 1)), {"message_ack": "no"}],
)
def test_an_answer_that_is_not_known(answer: object) -> None:
    """It is told from none: a sender of files would wait for ever for another one."""
    assert messages.read(json.dumps({"answer": answer}).encode()) == (OtherAnswer(),)


@given(st.binary(max_size=60))
def test_any_bytes(message: bytes) -> None:
    """Bytes that are no message at all are malformed, and nothing else."""
    try:
        messages.read(message)
    except ValueError as error:
        assert str(error).startswith("the peer")


NAMES = st.text(st.characters(), min_size=1, max_size=40)
NUMBERS = st.integers(0, LARGEST)
FILES = st.builds(
    lambda name, size, digest: Offer("file", name, size, 1, size, digest),
    *(NAMES, NUMBERS, st.sampled_from(("", DIGEST))),
)
FOLDERS = st.builds(Offer, st.just("folder"), NAMES, NUMBERS, NUMBERS, NUMBERS, st.just(""))


@given(FILES | FOLDERS)
def test_offers_come_back(offer: Offer) -> None:
    """What one Holdfast offers another hears, lone surrogates in the name included."""
    assert messages.read(messages.offer(offer)) == (offer,)


@pytest.mark.parametrize(
    ("versions", "resumes"),
    [
        (messages.VERSIONS, True),
        ({"holdfast": {"transfer": 1, "more": 2}, "x": 1}, True),
        ({}, False),
        ({"abilities": ["transfer-v1"]}, False),
        ({"holdfast": None}, False),
        ({"holdfast": {"transfer": "1"}}, False),
        ({"holdfast": {"transfer": 2}}, False),
    ],
)
def test_who_resumes(versions: dict[str, Any], resumes: bool) -> None:
    """Only a peer that says so, in our form."""
    assert messages.resumes(versions) is resumes
