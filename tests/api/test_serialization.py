"""Section "Serialization": saved at any point, resumed once, nothing told twice."""

import gc
import json
from typing import Any

import pytest

import holdfast
from tests.api.world import CODE, Delegate, Net


def waiting(net: Net) -> tuple[Any, Delegate]:
    """A wormhole that has its code and waits for its peer."""
    delegate = Delegate()
    ours = net.create(delegate=delegate)
    ours.allocate_code()
    net.run()
    return ours, delegate


def test_serialize_returns_a_small_json_dictionary_with_a_version(net: Net) -> None:
    """JSON-able, under 2 kB for a wormhole in waiting."""
    ours, _ = waiting(net)
    data = ours.serialize()
    assert isinstance(data, dict)
    assert data["version"] == 4
    text = json.dumps(data)
    assert json.loads(text) == data
    assert len(text) < 2000
    # Whatever is done to it, the wormhole that it was made from stays as it is.
    for name in ("versions", "welcome"):
        data["exchange"][name]["changed"] = 1
    assert json.dumps(ours.serialize()) == text


def test_restored_in_roughly_the_same_state(net: Net) -> None:
    """The connections are gone, the exchange goes on; nothing is delivered a second time."""
    ours, first = waiting(net)
    ours.send_message(b"from the first life")
    text = json.dumps(ours.serialize())
    ours.abandon()
    second = Delegate()
    resumed = net.resume(text, second)
    theirs = net.create()
    theirs.set_code(first.got("code"))
    theirs.send_message(b"hello")
    assert net.result(theirs.get_message()) == b"from the first life"
    assert "code" not in second.names
    assert second.messages == [b"hello"]
    resumed.close()
    net.run()
    assert second.got("closed") == "happy"
    assert net.result(theirs.close()) == "happy"
    assert net.server.tables().empty


@pytest.mark.parametrize("steps", range(40))
def test_legal_at_every_point_of_an_exchange(net: Net, steps: int) -> None:
    """Saved, killed and resumed after any number of steps: each event is told in one life."""
    told = [Delegate()]
    ours = net.create(delegate=told[0], versions={"v": 1})
    theirs_told = Delegate()
    theirs = net.create(delegate=theirs_told)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    ours.send_message(b"ours")
    theirs.send_message(b"theirs")
    for _ in range(steps):
        if net.network.queue:
            net.network.step()
    text = json.dumps(ours.serialize())
    ours.abandon()
    told.append(Delegate())
    again = net.resume(text, told[1])
    net.run(5)
    names = [name for delegate in told for name in delegate.names if name != "welcome"]
    assert names == ["code", "unverified_key", "verifier", "versions", "message"]
    assert theirs_told.messages == [b"ours"]
    again.close()
    theirs.close()
    net.run(5)
    assert told[1].got("closed") == theirs_told.got("closed") == "happy"
    assert net.server.tables().empty


def test_what_was_not_delivered_before_the_save_is_delivered_after_it(net: Net) -> None:
    """Saved inside a callback: the events behind it come in the next life, that one does not."""
    saved: list[str] = []
    ours: Any = None
    first = Delegate(on={"verifier": lambda _: saved.append(json.dumps(ours.serialize()))})
    ours, theirs = net.create(delegate=first), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    theirs.send_message(b"x")
    while not saved:
        net.network.step()
    ours.abandon()
    second = Delegate()
    net.resume(saved[0], second)
    net.run(3)
    assert "verifier" not in second.names
    assert second.messages == [b"x"]


def test_only_for_delegated_wormholes(net: Net) -> None:
    """In Deferred mode `serialize` says what to do; `from_serialized` needs a delegate too."""
    with pytest.raises(holdfast.CannotSerialize, match="Pass a delegate"):
        net.create().serialize()
    ours, _ = waiting(net)
    with pytest.raises(holdfast.CannotSerialize):
        net.resume(ours.serialize(), None)


def test_never_the_same_wormhole_twice(net: Net) -> None:
    """While it is alive in this process the document is refused, also a second time."""
    ours, _ = waiting(net)
    data = ours.serialize()
    with pytest.raises(holdfast.AlreadyResumed):
        net.resume(data, Delegate())
    ours.abandon()
    again = net.resume(data, Delegate())
    with pytest.raises(holdfast.AlreadyResumed):
        net.resume(data, Delegate())
    again.close()
    net.run()
    with pytest.raises(holdfast.AlreadyResumed):
        net.resume(data, Delegate())
    net.network.queue.clear()
    del again, ours
    gc.collect()


@pytest.mark.parametrize("change", ["newer", "damaged", "text", "list", "relay"])
def test_documents_that_are_refused(net: Net, change: str) -> None:
    """A newer version, damage, or no document at all: BadCheckpoint, and nothing is connected."""
    ours, _ = waiting(net)
    data: Any = ours.serialize()
    ours.abandon()
    error: type[Exception] = holdfast.BadCheckpoint
    if change == "newer":
        data["version"] = 99
    elif change == "damaged":
        data["exchange"]["code"]["state"] = "elsewhere"
    elif change == "text":
        data = "text"
    elif change == "list":
        data = [1]
    else:
        data["exchange"] = None
    lines = len(net.network.connectors)
    with pytest.raises(error):
        holdfast.from_serialized(data, net.clock, Delegate())
    assert len(net.network.connectors) == lines


def test_a_finished_wormhole_stays_finished(net: Net) -> None:
    """Resumed after its end it connects to nobody and tells nothing again."""
    ours, _delegate = waiting(net)
    ours.close()
    net.run()
    data = ours.serialize()
    ours.abandon()
    second = Delegate()
    resumed = net.resume(data, second)
    net.run(5)
    resumed.close()
    net.run(5)
    assert second.told == []
    assert not net.network.connectors


def test_an_end_that_was_not_told_is_told_in_the_next_life(net: Net) -> None:
    """Saved before `wormhole_closed` was called: it is called after resuming."""
    saved: list[Any] = []
    ours: Any = None

    class Saving:
        def wormhole_got_unverified_key(self, key: bytes) -> None:
            saved.append(ours.serialize())

        def wormhole_closed(self, result: object) -> None:
            pass

    ours = net.create(delegate=Saving())
    ours.set_code(CODE)
    net.run()
    net.create(delegate=object()).set_code(CODE + "x")
    while not saved:
        net.network.step()
    ours.abandon()
    second = Delegate()
    net.resume(saved[0], second)
    net.run(5)
    assert isinstance(second.got("closed"), holdfast.WrongPasswordError)


def test_a_document_without_its_messages_is_refused(net: Net) -> None:
    """A flow's document counts messages that lie in its database; nothing could be refilled."""
    ours, _ = waiting(net)
    data = ours.serialize()
    ours.abandon()
    data["exchange"]["outbox"]["data"]["kept"] = 1
    with pytest.raises(holdfast.BadCheckpoint, match="lie in the database"):
        net.resume(json.dumps(data), Delegate())
