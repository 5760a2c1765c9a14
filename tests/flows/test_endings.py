"""How flows end: done, scared, failed or cancelled, and what then becomes of their secrets."""

import pytest

from holdfast.flows.shipped.provision import Provision
from holdfast_journal import NotRetryable
from holdfast_journal.errors import Shredded
from tests.flows.world import BATCH, World


def accept(peer, message: bytes) -> None:
    peer.send(b'{"answer": {"message_ack": "ok"}}')


def begin(world: World) -> str:
    world.add(Provision(name="ann", secret="s3cr3t"))
    world.serve()
    return world.code()


def shredded(world: World) -> bool:
    """Whether nothing can be opened any more, and nothing be tried again."""
    assert world.finished()
    try:
        world.journal.events(world.row().id)
    except Shredded:
        assert world.row().published is None
        with pytest.raises(NotRetryable):
            world.journal.retry("ann", BATCH)
        return True
    return False


def test_done(world: World) -> None:
    """Collected: done, and the secret is gone from the database."""
    peer = world.peer(begin(world), on_message=accept)
    world.until(world.finished)
    assert world.status() == "done"
    assert shredded(world)
    assert len(peer.messages) == 1
    peer.close()
    world.deliver_all()
    assert world.server.tables().empty


def test_scared(world: World) -> None:
    """Another code: scared, nothing was sent, and retry hands the same secret over."""
    code = begin(world)
    nameplate = code.partition("-")[0]
    peer = world.peer(f"{nameplate}-wrong-words")
    world.until(world.finished)
    assert world.status() == "scared"
    assert "different code" in world.published()["reason"]
    assert "sent" not in world.published()
    assert not shredded(world)
    assert peer.messages == []
    world.journal.retry("ann", BATCH)
    world.until(lambda: world.published().get("code") not in (None, code))
    again = world.peer(world.code(), on_message=accept)
    world.until(world.finished)
    assert world.status() == "done"
    assert b"s3cr3t" in again.messages[0]


def test_failed(world: World) -> None:
    """The recipient refuses: failed, with their words, and the secret is kept for another try."""
    peer = world.peer(begin(world))
    peer.send(b'{"error": "no \\u001b[2J thanks"}')
    world.until(world.finished)
    assert world.status() == "failed"
    assert world.published()["reason"] == "the recipient's client said: no  [2J thanks"
    assert not shredded(world)


def test_the_server_fails(world: World) -> None:
    """A server that turns us away: failed, with its words."""
    world.server.welcome = {"error": "go away"}
    world.add(Provision(name="ann", secret="s3cr3t"))
    world.serve()
    world.until(world.finished)
    assert world.status() == "failed"
    assert world.published()["reason"] == "go away"
    assert not shredded(world)


@pytest.mark.parametrize("moment", ["new", "starting", "waiting", "exchanging"])
def test_cancelled(world: World, moment: str) -> None:
    """Cancelled at any time: nothing is left on the server, and the secret is gone."""
    world.add(Provision(name="ann", secret="s3cr3t"))
    if moment == "starting":
        world.server.stop()
    if moment != "new":
        world.serve()
        world.deliver_all()
    peer = None
    if moment == "exchanging":
        peer = world.peer(world.code())
        world.until(lambda: peer.messages)
    assert world.status() == moment
    assert world.journal.ask("ann", BATCH, "cancel")
    if moment == "new":
        world.serve()
    world.until(world.finished)
    assert world.status() == "cancelled"
    assert shredded(world)
    if peer is not None:
        peer.close()
        world.deliver_all()
    assert world.server.tables().empty


def test_cancelled_while_the_server_is_gone(world: World) -> None:
    """A code that is on the server is freed when the server is back, by whatever process."""
    begin(world)
    world.server.stop()
    world.deliver_all()
    world.journal.ask("ann", BATCH, "cancel")
    world.advance(5)
    assert world.status() == "closing"
    world.crash()
    world.server.start()
    world.serve()
    world.until(world.finished)
    assert world.status() == "cancelled"
    assert world.server.tables().empty


def test_too_late_to_cancel(world: World) -> None:
    """What was collected stays done, even if the server has not heard of it yet."""
    peer = world.peer(begin(world))
    world.until(lambda: peer.messages)
    accept(peer, b"")
    world.until(lambda: world.status() in ("closing", "done"))
    world.journal.ask("ann", BATCH, "cancel")
    world.until(world.finished)
    assert world.status() == "done"
    assert world.journal.ask("ann", BATCH, "cancel") is False


def test_the_first_word_counts(world: World) -> None:
    """An accepted secret stays accepted, whatever the other side says afterwards."""
    peer = world.peer(begin(world))
    world.until(lambda: peer.messages)
    peer.send(b'{"answer": {"message_ack": "ok"}}')
    peer.send(b'{"error": "no"}')
    world.until(world.finished)
    assert world.status() == "done"
