"""What a wormhole was saved as is read for ever; what it was not is refused in words."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import checkpoint
from holdfast.core import notices as out
from holdfast.core.wanted import Said, wanted
from holdfast.errors import BadCheckpoint
from tests.core.clients import STAGES, alone, happy
from tests.core.record import CHECKPOINTS, HISTORIES, RELAY, frames_as_json, replay

RECORDED = sorted(CHECKPOINTS.glob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_checkpoint_loads_for_ever(path: Any) -> None:
    """A checkpoint of any released version loads, and wants to say what it wanted then."""
    recorded = json.loads(path.read_text())
    saved = checkpoint.load(recorded["document"])
    assert saved.relay_url == RELAY
    assert frames_as_json(wanted(saved.exchange, Said())) == recorded["wanted"]


def test_there_is_a_checkpoint_of_every_stage() -> None:
    """Every stage of the current version has been recorded."""
    names = {f"version-{checkpoint.VERSION}-{name.replace('_', '-')}" for name in STAGES}
    assert names <= {path.stem for path in RECORDED}


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_history_happens_again(path: Any) -> None:
    """The same events and seeds give the same notices, the same bytes and the same end."""
    recorded = json.loads(path.read_text())
    exchange, end = (
        checkpoint.load(
            {"version": 1, "relay": RELAY, "exchange": recorded[when], "pending": []}
        ).exchange
        for when in ("begin", "end")
    )
    outcome = json.loads(json.dumps(replay(exchange, recorded["entries"])))
    for entry, then in zip(recorded["entries"], outcome, strict=True):
        assert then == {"told": entry["told"], "said": entry["said"]}
    # A later release may know more than the recorded document, which is brought forward first.
    assert exchange.serialize() == end.serialize()


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_saved_comes_back(stage: str) -> None:
    """Saving what was loaded gives the same document, with everything pending."""
    pending = (
        out.GotWelcome({"motd": "x"}),
        out.GotCode("4-a"),
        out.GotMessage(b"\0\xff"),
        out.Closed("happy", "", ""),
    )
    document = checkpoint.save(RELAY, STAGES[stage]().us.exchange, pending)
    saved = checkpoint.load(json.loads(json.dumps(document)))
    assert saved.pending == pending
    assert checkpoint.save(saved.relay_url, saved.exchange, saved.pending) == document


def test_a_waiting_wormhole_is_small() -> None:
    """Thousands wait at once: the checkpoint of one has less than 2 kB."""
    assert len(json.dumps(checkpoint.save(RELAY, alone().us.exchange, ()))) < 2000


def damaged(**changes: object) -> dict[str, Any]:
    return {**checkpoint.save(RELAY, happy().us.exchange, ()), **changes}


DAMAGED: list[object] = [
    None,
    [],
    "text",
    {},
    damaged(version=None),
    damaged(version=0),
    damaged(version=True),
    damaged(version="1"),
    damaged(version=1.0),
    damaged(relay=None),
    damaged(exchange=None),
    damaged(exchange={}),
    damaged(pending=None),
    damaged(pending=[None]),
    damaged(pending=[{}]),
    damaged(pending=[{"type": "close"}]),
    damaged(pending=[{"type": []}]),
    damaged(pending=[{"type": "got-code"}]),
    damaged(pending=[{"type": "got-code", "code": 4}]),
    damaged(pending=[{"type": "got-code", "code": "4-a", "more": 1}]),
    damaged(pending=[{"type": "got-message", "plaintext": "no hex"}]),
    damaged(pending=[{"type": "got-versions", "versions": []}]),
    damaged(more=1),
]


@pytest.mark.parametrize("document", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_checkpoint_is_refused(document: object) -> None:
    """What no release wrote is a BadCheckpoint that says so."""
    with pytest.raises(BadCheckpoint, match="damaged"):
        checkpoint.load(document)


@pytest.mark.parametrize("version", [checkpoint.VERSION + 1, checkpoint.VERSION + 2, 10**9])
def test_a_newer_checkpoint_is_refused(version: int) -> None:
    """A document of a later release is refused, and the words say what to do."""
    with pytest.raises(BadCheckpoint, match="newer one"):
        checkpoint.load(damaged(version=version))


def test_a_refusal_quotes_nothing() -> None:
    """The words of a refusal never hold what the document held."""
    document = damaged()
    document["exchange"]["key"]["data"]["key"] = ["CANARY"]
    document["exchange"]["code"]["data"]["code"] = {"CANARY": 1}
    document["exchange"]["outbox"]["data"]["queued"] = "CANARY"
    document["exchange"]["code"]["state"] = "CANARY"
    with pytest.raises(BadCheckpoint) as refusal:
        checkpoint.load(document)
    assert "CANARY" not in str(refusal.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
HAPPY = damaged(pending=[{"type": "got-code", "code": "4-a"}])


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything inside a document."""
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    return [here, *(place for key, each in inside for place in places(each, (*here, key)))]


@given(st.sampled_from(places(HAPPY)[1:]), st.none() | VALUES.map(lambda value: (value,)))
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_any_change_gives_a_value_or_a_refusal(place: Any, change: Any) -> None:
    """A document with anything replaced or missing loads or is a BadCheckpoint, nothing else."""
    document = copy.deepcopy(HAPPY)
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    if change is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = change[0]
    try:
        saved = checkpoint.load(document)
    except BadCheckpoint:
        return
    assert json.dumps(checkpoint.save(saved.relay_url, saved.exchange, saved.pending))
