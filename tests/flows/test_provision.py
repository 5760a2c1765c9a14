"""Handing over a text: when it is sent, who accepts it, and what strange recipients can do."""

import json

import attrs
import pytest

import holdfast.flows.shipped.command  # noqa: F401 - makes the task "mint" known
from holdfast.flows import tasks
from holdfast.flows.shipped.provision import Provision, SendText
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.testing import Peer
from holdfast.transfer.text import APPID
from tests.flows.world import World

ACCEPT = b'{"answer": {"message_ack": "ok"}}'


def begin(world: World, flow: Provision | SendText | None = None) -> str:
    world.add(flow or Provision(name="ann", secret="s3cr3t"))
    world.serve()
    return world.code()


def test_nothing_is_sent_before_the_code_is_proved(world: World) -> None:
    """The offer leaves only after the recipient's first message that decrypts."""
    code = begin(world)
    order: list[str] = []

    class Watched(Peer):
        def wormhole_got_unverified_key(self, key: bytes) -> None:
            order.append("key")

        def wormhole_got_versions(self, versions: dict) -> None:
            order.append("versions")

    peer = Watched(world.network, APPID, on_message=lambda peer, _: order.append("message"))
    world.deliver_all()
    assert "sent" not in world.published()
    peer.enter(code)
    world.until(lambda: "message" in order)
    assert order == ["key", "versions", "message"]
    ours = [frame for side, frame in world.network.log if side != peer.wormhole.exchange.side]
    assert ours.index("add version") < ours.index("add 0")


@pytest.mark.parametrize("secret", ["x", "ünï-çødé 山田 😀", 'a "quoted"\nline\\', "y" * 15_000])
def test_the_text_arrives_as_it_is(world: World, secret: str) -> None:
    """Any text that is taken arrives unchanged, as stock clients read it."""
    peer = world.peer(begin(world, Provision(name="ann", secret=secret)))
    world.until(lambda: peer.messages)
    assert json.loads(peer.messages[0]) == {"offer": {"message": secret}}


def test_what_the_command_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that mints has the name and the time that the operator gave."""
    calls: list[dict[str, object]] = []

    def run(call: tasks.Call) -> str:
        calls.append(call.arguments)
        return "token"

    kind = attrs.evolve(tasks._kinds["mint"], run=run)
    monkeypatch.setitem(tasks._kinds, "mint", kind)
    code = begin(world, Provision(name="ann", mint=["x"], mint_timeout=300.0))
    peer = world.peer(code)
    world.until(lambda: peer.messages)
    assert calls == [{"command": ["x"], "name": "ann", "timeout": 300.0}]


def test_an_answer_before_the_offer(world: World) -> None:
    """An acknowledgement of what was never offered is ignored."""
    code = begin(world, Provision(name="ann", mint=["never"]))
    peer = world.peer(code)
    peer.send(ACCEPT)
    for _ in range(3):
        world.deliver_all()
    assert not world.finished()
    assert "collected" not in world.published()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1]", "is no JSON object"),
        (b'"answer"', "is no JSON object"),
        (b'{"error": {"a": [1]}}', "the recipient's client said: {'a': [1]}"),
        (b'{"error": "%s"}' % (b"x" * 5000), "the recipient's client said: " + "x" * 200),
        (b'{"offer": 1}', "offer is malformed"),
        (b'{"offer": {"message": 7}}', "offer is malformed"),
    ],
)
def test_what_strange_recipients_say(world: World, message: bytes, said: str) -> None:
    """A malformed message fails the flow with a defined, bounded reason."""
    peer = world.peer(begin(world))
    peer.send(message)
    world.until(world.finished)
    assert world.status() == "failed"
    reason = world.published()["reason"]
    assert reason.endswith(said)
    assert len(reason) < 300


@pytest.mark.parametrize(
    "message",
    [b"{}", b'{"answer": {}}', b'{"answer": 5}', b'{"answer": {"message_ack": "no"}}',
     b'{"transit": {"hints-v1": []}}', b'{"offer": {"message": "mine"}}', b'{"offer": {}}'],
)  # fmt: skip
def test_what_other_protocols_say(world: World, message: bytes) -> None:
    """What does not concern the text is passed over, and the flow goes on."""
    peer = world.peer(begin(world))
    peer.send(message)
    world.until(lambda: peer.messages)
    assert not world.finished()
    peer.send(ACCEPT)
    world.until(world.finished)
    assert world.status() == "done"


def test_sending_by_hand(world: World) -> None:
    """A text that somebody sends goes the same way."""
    peer = world.peer(begin(world, SendText(secret="hello")))
    world.until(lambda: peer.messages)
    assert json.loads(peer.messages[0]) == {"offer": {"message": "hello"}}
    peer.send(ACCEPT)
    world.until(world.finished)
    assert world.status() == "done"


def test_no_secret_in_sight(world: World) -> None:
    """Neither a flow's repr nor what operators see holds the secret."""
    flow = Provision(name="ann", secret="s3cr3t")
    begin(world, flow)
    runner = next(iter(world.engine.running.values()))
    seen = f"{flow} {runner.taken} {runner._state} {world.rows()} {world.heard()}"
    assert "s3cr3t" not in seen
    assert isinstance(runner.wormhole, DelegatedWormhole)
