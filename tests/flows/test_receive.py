"""Receiving a text: it is where it belongs before the sender hears so."""

import json
import os
import stat
from pathlib import Path

import pytest

from holdfast.flows.shipped import measuring, writing  # noqa: F401 - register the tasks
from holdfast.flows.shipped.receive import ReceiveToFile
from holdfast.testing import Peer
from holdfast.transfer.text import APPID
from tests.flows.world import World


def sender(world: World, message: bytes) -> tuple[Peer, str]:
    peer = Peer(world.network, APPID)
    peer.wormhole.allocate_code()
    world.deliver_all()
    code = peer.wormhole.exchange.code.data.code
    peer.send(message)
    return peer, code


def receive(world: World, message: bytes, out: Path) -> Peer:
    peer, code = sender(world, message)
    world.add(ReceiveToFile(code=code, out=str(out)))
    world.serve()
    world.until(world.finished)
    world.until(lambda: peer.messages)
    return peer


@pytest.mark.parametrize("text", ["hello", "", "ünï 😀\n", "half \ud800"])
def test_into_a_file(world: World, tmp_path: Path, text: str) -> None:
    """The text is in the file, readable by its owner only, and then the sender is told."""
    out = tmp_path / "out"
    peer = receive(world, json.dumps({"offer": {"message": text}}).encode(), out)
    assert world.status() == "done"
    assert out.read_bytes() == text.encode("utf-8", "surrogatepass")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(peer.messages[0]) == {"answer": {"message_ack": "ok"}}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b'{"offer": {"song": {}}}', "does not know what this is"),
        (b'{"offer": {"file": {"filename": "x", "filesize": -1}}}', "no usable filesize"),
        (b"nonsense", "is no JSON"),
        (b'{"offer": []}', "malformed"),
        (b'{"error": "changed my mind"}', "the sender's client said: changed my mind"),
    ],
)
def test_what_is_not_taken(world: World, tmp_path: Path, message: bytes, said: str) -> None:
    """What is no text ends the flow as failed, and both sides hear why; no file is made."""
    peer, code = sender(world, message)
    world.add(ReceiveToFile(code=code, out=str(tmp_path / "out")))
    world.serve()
    world.until(world.finished)
    assert world.status() == "failed"
    assert said in world.published()["reason"]
    if b"error" not in message:
        world.until(lambda: peer.messages)
        assert said in json.loads(peer.messages[0])["error"]
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_file_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    """After three tries the sender hears that the file could not be written."""
    peer = receive(world, b'{"offer": {"message": "x"}}', tmp_path / "nowhere/out")
    assert world.status() == "failed"
    assert "could not be written" in json.loads(peer.messages[0])["error"]
    assert sum("will be tried again" in entry for entry in world.heard()) == 2


def test_written_before_a_kill(world: World, tmp_path: Path) -> None:
    """Killed between two entries, the file is there before the sender is told, and once."""
    for dies_at in range(1, 12):
        name, out = f"flow {dies_at}", tmp_path / f"out {dies_at}"
        peer, code = sender(world, b'{"offer": {"message": "hello"}}')
        world.add(ReceiveToFile(code=code, out=str(out)), name)
        world.dies_when = lambda name=name, dies_at=dies_at: world.row(name).seq >= dies_at
        world.serve()
        world.until(lambda: False, seconds=600) if not world.dies_when() else None
        world.crash()
        assert not peer.messages or out.read_text() == "hello"
        world.dies_when = lambda: False
        world.serve()
        world.until(lambda name=name: world.finished(name))
        world.until(lambda peer=peer: peer.messages)
        assert world.status(name) == "done"
        assert out.read_text() == "hello"
        assert len(peer.messages) == 1
        world.crash()
