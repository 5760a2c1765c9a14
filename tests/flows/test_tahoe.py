"""Invitations to a Tahoe-LAFS grid: what a client is told, and who is told nothing."""

import json
from itertools import count
from typing import Any

import pytest

from holdfast import testing
from holdfast.flows import tasks
from holdfast.flows.shipped.tahoe import BadConfiguration, TahoeInvite, configuration
from holdfast.flows.tasks import Call, TaskFailed, task
from holdfast.testing import Peer
from tests.flows.world import World

FURL = "pb://u5bsjnvtqetqpvdgpjw6twxc5jvahtxt@tcp:example.com:41505/introducer"
GRID = json.dumps({"introducer": FURL, "shares-needed": 1, "shares-happy": "2"})
CLIENT = b'{"abilities": {"client-v1": {}}}'
SERVER = {"abilities": {"server-v1": {}}}
TOLD = {
    "introducer": FURL,
    "nickname": "bob",
    "shares-needed": 1,
    "shares-happy": 2,
    "shares-total": 10,
    "needed": 1,
    "happy": 2,
    "total": 10,
}


def joined(world: testing.World, flow: TahoeInvite, *said: bytes) -> list[Any]:
    """Let a client join, which says this; return what it hears."""
    world.start(flow, "ann")
    peer: Peer = world.peer(world.code())
    for message in said:
        peer.send(message)
    world.until(world.finished)
    world.advance(1)
    return [json.loads(each) for each in peer.messages]


def test_a_client_joins(world: World) -> None:
    """It hears what we are, and then the configuration; the flow is done."""
    heard = joined(world, TahoeInvite(name="bob", secret=GRID), CLIENT, b"more")
    assert heard == [SERVER, TOLD]
    assert world.status() == "done"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b'{"abilities": ["client-v1"]}', "does not say that it is a client"),
        (b"\xff", "is no JSON"),
    ],
)
def test_others_are_told_nothing(world: World, said: bytes, why: str) -> None:
    """They hear what we are, and no more; nor does a second try help."""
    assert joined(world, TahoeInvite(name="bob", secret=GRID), said, CLIENT) == [SERVER]
    assert world.status() == "failed" and why in world.published()["reason"]


def test_an_inviter_who_dies() -> None:
    """Whatever was written, the next process goes on, and the client is told once."""
    for entries in count(4, 4):
        with testing.World() as world:
            world.crash_after(entries, sent=entries % 2 == 0)
            flow = TahoeInvite(name="bob", secret=GRID)
            assert joined(world, flow, CLIENT) == [SERVER, TOLD]
            if not world.crashes:
                break  # it was over before
    assert entries > 8


@pytest.mark.parametrize(
    ("printed", "status"), [(GRID, "done"), ("oops", "failed"), (None, "failed")]
)
def test_a_configuration_that_a_command_prints(
    world: World, monkeypatch: pytest.MonkeyPatch, printed: str | None, status: str
) -> None:
    """It is made once the client has come; what is no configuration goes nowhere."""

    def mint(call: Call) -> str:
        if printed is None:
            raise TaskFailed("no", final=True)
        return printed

    monkeypatch.setattr(tasks, "_kinds", {})
    task("mint")(mint)
    heard = joined(world, TahoeInvite(name="bob", mint=["cat", "grid"]), CLIENT)
    assert heard == [SERVER, TOLD][: 2 if status == "done" else 1]
    assert world.status() == status


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("hunter2", "the configuration is no JSON"),
        ("[]", "no JSON object"),
        ("\ud800", "is no JSON"),
        ({}, "no usable introducer"),
        ({"introducer": 4}, "no usable introducer"),
        ({"introducer": "pb://x\n[node]"}, "no usable introducer"),
        ({"introducer": "http://hunter2"}, "does not begin with pb://"),
        ({"introducer": FURL, "nickname": ""}, "no usable nickname"),
        ({"introducer": FURL, "nickname": "a\nb"}, "no usable nickname"),
        ({"introducer": FURL, "shares-total": 257}, "shares-total .* from 1 to 256"),
        ({"introducer": FURL, "shares-total": True}, "shares-total .* from 1 to 256"),
        ({"introducer": FURL, "shares-needed": 0}, "shares-needed .* from 1 to 256"),
        ({"introducer": FURL, "shares-total": 6}, "do not rise"),
    ],
)
def test_what_is_no_configuration(given: Any, why: str) -> None:
    """The words say why, and quote nothing."""
    text = given if isinstance(given, str) else json.dumps(given)
    with pytest.raises(BadConfiguration, match=why) as caught:
        configuration(text, "bob")
    assert "hunter2" not in str(caught.value)
