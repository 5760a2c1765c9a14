"""The document of a dilated wormhole."""

import json
from typing import Any

import pytest

from holdfast.dilation.document import Options, load, save
from holdfast.dilation.ledger import Ledger
from holdfast.dilation.manager import Manager
from holdfast.dilation.records import Close, Data, Open
from holdfast.errors import BadCheckpoint

SIDE = "00000000000000aa"
OPTIONS = Options("tcp:relay.example:4001", True, 5.0, ["a"], 60.0)


def full() -> tuple[Manager, Ledger]:
    """A ledger in which everything occurs."""
    manager = Manager.begin(SIDE)
    manager.dilate(1.0)
    ledger = Ledger()
    ledger.begin(leader=True)
    one, other = ledger.open("a"), ledger.open("b")
    ledger.write(one, b"\0\xff")
    ledger.plan(one, {"file": "f"}, 3)
    ledger.plan(one, "text", 2)
    ledger.plan(other, "text", 2)
    ledger.write(other, b"")
    ledger.close(one)
    for record in (Open(2, 0, "theirs"), Data(2, 1, b"x"), Close(2, 2), Close(1, 3)):
        ledger.take(record)
    ledger.hold(ledger.channels[2], b"x")
    ledger.channels[2].state = {"at": [1]}
    ledger.forget(one)
    ledger.take(Open(4, 4, ""))
    ledger.acknowledged(4)  # the first two records of a plan among them
    return manager, ledger


def saved() -> Any:
    """What `full` is saved as, through JSON."""
    return json.loads(json.dumps(save(*full(), OPTIONS)))


def test_everything_comes_back() -> None:
    """Also what is counted, and what follows from it."""
    manager, ledger = full()
    back = load(saved())
    assert json.loads(json.dumps(save(back.manager, back.ledger, back.options))) == saved()
    assert back.options == OPTIONS
    assert back.manager.save() == manager.save()
    again = back.ledger
    assert (again.unacked_bytes, again.held_bytes) == (ledger.unacked_bytes, ledger.held_bytes)
    assert again.planned_bytes == ledger.planned_bytes > 0
    assert repr(again) == repr(ledger)
    assert [(type(each), each.seq) for each in again.outgoing(-1)] == [
        (type(each), each.seq) for each in ledger.outgoing(-1)
    ]
    again.acknowledged(again.next_out - 1)
    assert sorted(again.channels) == [2, 3]


def test_a_plan_is_one_entry() -> None:
    """However many of its records are left. An equal plan that follows has an entry of its own."""
    kept = saved()["ledger"]["kept"]
    plans = [
        (each["scid"], each["plan"], each["index"], each["count"])
        for each in kept
        if each["kind"] == "plan"
    ]
    assert plans == [(1, {"file": "f"}, 2, 1), (1, "text", 0, 2), (3, "text", 0, 2)]


def test_an_idle_channel_is_short() -> None:
    """There may be a thousand of them in each commit."""
    ledger = Ledger()
    ledger.begin(leader=True)
    ledger.open("a")
    ledger.acknowledged(0)
    [channel] = save(Manager.begin(SIDE), ledger, Options())["ledger"]["channels"]
    assert channel == {"number": 1, "name": "a", "ours": True}


def test_a_wormhole_that_has_not_met_its_peer() -> None:
    """Nothing is known yet."""
    back = load(save(Manager.begin(SIDE), Ledger(), Options()))
    assert back.ledger.leader is None
    assert back.options == Options()


def changed(path: str, value: object) -> Any:
    """The document with another value at `path`."""
    document = saved()
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner = document
    for step in way:
        inner = inner[step]
    inner[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", None),
        ("version", 2),
        ("manager.state", "asleep"),
        ("manager.data.side", 1),
        ("ledger.leader", 1),
        ("ledger.next_out", 3),
        ("ledger.acked", -2),
        ("ledger.highest_in", -2),
        ("ledger.next_channel", 2**33),
        ("ledger.channels.0.number", 3),
        ("ledger.channels.0.number", 0),
        ("ledger.channels.0.number", 77),
        ("ledger.channels.0.more", 1),
        ("ledger.channels.2.held", ["="]),
        ("ledger.channels.2.held", [1]),
        ("ledger.kept.0.kind", "ping"),
        ("ledger.kept.0.count", 0),
        ("ledger.kept.0.count", 10**12),
        ("ledger.kept.3.data", "?"),
        ("options.ping_interval", "soon"),
    ],
)
def test_a_damaged_document_is_refused(path: str, value: object) -> None:
    """In words, and without its contents."""
    with pytest.raises(BadCheckpoint, match="saved"):
        load(changed(path, value))


def test_something_else_is_refused() -> None:
    """A list is no document."""
    with pytest.raises(BadCheckpoint, match="JSON object"):
        load([])
