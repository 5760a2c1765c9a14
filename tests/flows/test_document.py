"""The documents of flows: written by any release, read by every later one."""

import json
from typing import Any

import pytest
from attrs import field

from holdfast.errors import BadCheckpoint
from holdfast.flows import document
from holdfast.flows.base import Flow, flow
from holdfast.flows.document import Checkpoint, Params, new_flow
from holdfast.rendezvous.relay_url import BadRelayUrl

PARAMS = Params(relay="ws://mailbox.example/v1", appid="test", params={"name": "ann"})
CHECKPOINT = Checkpoint(data={"name": "ann"}, wormhole={}, verdict="", performed=3)


@pytest.mark.parametrize("written", [PARAMS, CHECKPOINT])
def test_brought_forward(written: Params | Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of an old version goes through the function of each version since, in order."""
    steps: list[str] = []

    def step(kind: str, number: int) -> Any:
        def bring(record: dict[str, Any]) -> dict[str, Any]:
            steps.append(f"{kind} {number}")
            assert record["version"] == number
            return record

        return bring

    old = written.to_bytes()
    monkeypatch.setattr(document, "VERSION", 4)
    table = {kind: {n: step(kind, n) for n in (1, 3)} for kind in ("params", "checkpoint")}
    monkeypatch.setattr(document, "BRING_FORWARD", table)
    found = type(written).from_bytes(old)
    kind = type(written).__name__.lower()
    assert steps == [f"{kind} 1", f"{kind} 3"]
    assert found.version == 4
    found = type(written).from_bytes(found.to_bytes())
    assert len(steps) == 2


@pytest.mark.parametrize("cls", [Params, Checkpoint])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"version": document.VERSION + 1}, "or a newer one"),
        ({"version": 0}, "damaged"),
        ({"version": True}, "damaged"),
        ({"version": "1"}, "damaged"),
        ({}, "damaged"),
        ([], "damaged"),
        (None, "damaged"),
        ({"version": 1}, "required field missing"),
    ],
)
def test_not_ours(cls: type[Params] | type[Checkpoint], content: object, said: str) -> None:
    """What a newer release wrote is told apart from what is damaged."""
    with pytest.raises(BadCheckpoint, match=said):
        cls.from_bytes(json.dumps(content).encode())


@flow("test-typed", appid="test")
class Typed(Flow):
    """Fields of several types."""

    user: str
    size: int = 0
    words: list[str] = field(factory=list)
    more: dict[str, Any] = field(factory=dict)


def new(**fields: Any) -> Any:
    return new_flow("ann", Typed(**fields), relay="ws://mailbox.example/v1", appid="test")


def test_parameters_that_fit() -> None:
    """They come back from the document as they were."""
    given = Typed(user="ann", size=3, words=["a"], more={"b": [1, None, 2.5]})
    made = new_flow("ann", given, relay="ws://mailbox.example/v1", appid="test")
    assert document.begin("test-typed", Params.from_bytes(made.params).params) == given


@pytest.mark.parametrize(
    ("fields", "where", "what"),
    [
        ({"user": 17_042}, "Typed.user", "expected str, found int"),
        ({"user": None}, "Typed.user", "expected str, found NoneType"),
        ({"user": "s3cr3t", "size": "s3cr3t"}, "Typed.size", "expected int, found str"),
        ({"user": "ann", "words": ["a", 17_042]}, "Typed.words", "expected str, found int"),
        ({"user": "ann", "words": "17042"}, "Typed.words", "expected list, found str"),
        ({"user": b"s3cr3t"}, "Typed.user", "bytes"),
        ({"user": "ann", "more": {"a": {17_042}}}, "Typed.more", "set"),
        ({"user": "ann", "more": {"a": object()}}, "Typed.more", "object"),
    ],
)
def test_parameters_that_do_not_fit(fields: dict[str, Any], where: str, what: str) -> None:
    """They are refused where the flow is started, by field and type, without the value."""
    with pytest.raises(TypeError) as refused:
        new(**fields)
    said = str(refused.value)
    assert where in said
    assert what in said
    assert "s3cr3t" not in said
    assert "17042" not in said


def test_a_parameter_that_holds_itself() -> None:
    """It is refused likewise, and so is one that lies too deep to be read again."""
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    deep: list[Any] = []
    for _ in range(document.DEEPEST):
        deep = [deep]
    for value in (loop, {"deep": deep}):
        with pytest.raises(TypeError, match=r"Typed.* too deep or in itself"):
            new(user="ann", more=value)


def test_where_a_new_flow_meets_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is told, under its class's application id, where the environment says."""
    monkeypatch.delenv("HOLDFAST_RELAY", raising=False)
    monkeypatch.delenv("WORMHOLE_RELAY_URL", raising=False)
    stock = Params.from_bytes(new_flow("ann", Typed(user="ann")).params)
    assert (stock.appid, stock.relay) == ("test", "ws://relay.magic-wormhole.io:4000/v1")
    monkeypatch.setenv("WORMHOLE_RELAY_URL", "wss://stock.example/v1")
    stocks = Params.from_bytes(new_flow("ann", Typed(user="ann")).params)
    assert stocks.relay == "wss://stock.example/v1"
    monkeypatch.setenv("HOLDFAST_RELAY", "wss://mailbox.example/v1")
    ours = Params.from_bytes(new_flow("ann", Typed(user="ann")).params)
    assert ours.relay == "wss://mailbox.example/v1"
    given = new_flow("ann", Typed(user="ann"), relay="ws://other.example/v1", appid="other")
    told = Params.from_bytes(given.params)
    assert (told.appid, told.relay) == ("other", "ws://other.example/v1")
    monkeypatch.setenv("HOLDFAST_RELAY", "http://me:hunter2@mailbox.example/")
    with pytest.raises(BadRelayUrl, match="HOLDFAST_RELAY: ") as raised:
        new_flow("ann", Typed(user="ann"))
    assert "hunter2" not in str(raised.value)
