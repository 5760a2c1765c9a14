"""What a wormhole keeps does not grow with what it has said, if its messages have another place."""

import json
from pathlib import Path

import pytest

from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Add
from holdfast.core.outbox import Sent
from holdfast.core.wanted import Said, absent, wanted
from holdfast.errors import BadCheckpoint
from tests.core.clients import Client, World, happy, reloaded, settle

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MESSAGE = bytes(1000)


def talk(world: World, kept: dict[int, bytes], count: int) -> None:
    """Say *count* messages, one after another; they are taken out as they are done."""
    for _ in range(count):
        world.us.happen(ev.SendMessage(MESSAGE))
        settle(world.us, world.peer)
        kept.update(world.us.exchange.outbox.data.take_shown())


def size(client: Client) -> int:
    """Bytes of its document."""
    return len(json.dumps(client.exchange.serialize()))


def test_the_document_does_not_grow() -> None:
    """After a hundred messages it is what it was after ten, but for the digits of numbers."""
    world = happy()
    kept: dict[int, bytes] = {}
    talk(world, kept, 10)
    small = size(world.us), size(world.peer)
    talk(world, kept, 90)
    assert sorted(kept) == list(range(100))
    assert (size(world.us) - small[0], size(world.peer) - small[1]) <= (10, 10)


def test_what_a_connection_remembers_does_not_grow() -> None:
    """Neither with what is said on it, nor with what a new one shows."""
    world = happy()
    talk(world, {}, 100)
    world.us.said.compact(world.us.exchange)
    world.us.lose()
    world.us.connect()
    settle(world.us, world.peer)
    world.us.said.compact(world.us.exchange)
    assert world.us.said.there == {"pake", "version"}
    assert wanted(world.us.exchange, world.us.said) == ()


def test_what_a_mailbox_shows_again_is_known() -> None:
    """The replay says nothing new, so that nobody makes a commit of it."""
    world = happy()
    talk(world, {}, 10)
    world.peer.happen(ev.SendMessage(b"answer"))
    settle(world.us, world.peer)
    world.us.lose()
    before, told = world.us.exchange.serialize(), len(world.us.happened)
    world.us.connect()
    settle(world.us, world.peer)
    assert len(world.us.happened) == told
    assert world.us.exchange.serialize() == before


@pytest.mark.parametrize("dies", [False, True])
def test_a_server_that_forgot_is_filled_again(dies: bool) -> None:
    """What lies elsewhere is asked for, and added byte for byte as it was."""
    world = happy()
    kept: dict[int, bytes] = {}
    talk(world, kept, 5)
    world.us.happen(ev.SendMessage(b"on its way"))
    us = reloaded(world.us.exchange) if dies else world.us.exchange
    said = Said()
    for frame in wanted(us, said):
        said.note(frame)
    assert absent(us, said) == (), "nothing is known before the mailbox has shown what it holds"
    said.hear(ev.MessageArrived(us.side, "1", b""), us)
    said.caught_up = True
    before = wanted(us, said)
    assert [frame.phase for frame in before if isinstance(frame, Add)] == ["pake", "version", "5"]
    for frame in before:
        said.note(frame)
    said.compact(us)
    assert absent(us, said) == (0, 2, 3, 4), "and what was shown is not added twice"
    said.fetched.update((n, kept[n].hex()) for n in absent(us, said)[:2])
    again = wanted(us, said)
    assert again == (Add("0", kept[0].hex()), Add("2", kept[2].hex()))
    for frame in again:
        said.note(frame)
    assert absent(us, said) == (3, 4)
    said.fetched.update((n, kept[n].hex()) for n in absent(us, said))
    for frame in wanted(us, said):
        said.note(frame)
    said.compact(us)
    assert (wanted(us, said), absent(us, said), said.fetched) == ((), (), {})


def test_echoes_come_in_any_order() -> None:
    """A message is done when all before it are."""
    world = happy()
    us = world.us
    for word in (b"a", b"b", b"c"):
        us.happen(ev.SendMessage(word))
    outbox = us.exchange.outbox.data
    for phase, done in (("2", 0), ("0", 1), ("1", 3)):
        us.exchange.apply(ev.MessageArrived(us.exchange.side, phase, b""), bytes(32))
        assert outbox.done == done
    assert [message.phase for message in outbox.sent] == ["pake", "version"]
    assert not outbox.undelivered


def test_nothing_is_ever_sent_under_a_phase_that_is_done() -> None:
    """One phase, one body, for ever, wherever that lies."""
    world = happy()
    talk(world, {}, 3)
    world.us.exchange.outbox.change().put("1", "00")
    outbox = world.us.exchange.outbox.data
    assert Sent("1", "00") not in outbox.sent


def test_without_another_place_the_document_holds_it_all() -> None:
    """An application's own wormhole fills a server again from its document alone."""
    world = happy()
    for number in range(3):
        world.us.happen(ev.SendMessage(b"%d" % number))
    added = [f for f in wanted(world.us.exchange, _caught_up()) if isinstance(f, Add)]
    settle(world.us, world.peer)
    us = reloaded(world.us.exchange)
    found = wanted(us, _caught_up())
    assert [f for f in found if isinstance(f, Add)] == added
    assert absent(us, _caught_up()) == ()


def _caught_up() -> Said:
    said = Said()
    said.caught_up = True
    return said


def test_an_old_document_is_brought_forward() -> None:
    """Version 2 kept all in one list; the same is wanted of it now, and it can be taken out."""
    [path] = CHECKPOINTS.glob("version-2-happy-unsent.json")
    document = json.loads(path.read_text())["document"]
    data = document["exchange"]["outbox"]["data"]
    bodies = {each["phase"]: each["body"] for each in data["sent"]}
    for each in data["sent"]:
        each["echoed"] = each["phase"] != "1"
    exchange: Exchange = checkpoint.load(document).exchange
    outbox = exchange.outbox.data
    assert [message.phase for message in outbox.sent] == ["pake", "version", "1"]
    added = {f.phase: f.body for f in wanted(exchange, _caught_up()) if isinstance(f, Add)}
    assert added == bodies
    assert outbox.take_shown() == [(0, bytes.fromhex(bodies["0"]))]
    assert outbox.kept == 1


@pytest.mark.parametrize("kept", [-1, 10**9, "1", True, None])
def test_an_impossible_number_of_messages_is_refused(kept: object) -> None:
    """A number of messages that nobody can have sent is damage."""
    document = checkpoint.save("ws://relay.example", happy().us.exchange, ())
    document["exchange"]["outbox"]["data"]["kept"] = kept  # type: ignore[index]
    with pytest.raises(BadCheckpoint):
        checkpoint.load(document)
