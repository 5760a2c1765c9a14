"""The documents of flows: written by any release, read by every later one."""

import json
from typing import Any

import pytest

from holdfast.errors import BadCheckpoint
from holdfast.flows import document
from holdfast.flows.document import Checkpoint, Params

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
