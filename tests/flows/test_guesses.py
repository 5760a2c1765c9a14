"""A code that bears several guesses: it opens again after a wrong one, and then ends."""

from holdfast.codes.strength import fewest_words
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Peer
from tests.flows.world import World

ACCEPT = b'{"answer": {"message_ack": "ok"}}'


def accept(peer: Peer, message: bytes) -> None:
    peer.send(ACCEPT)
    peer.close()


def begin(world: World, guesses: int = 3) -> str:
    coding = Coding(words=fewest_words(guesses), guesses=guesses)
    world.add(Provision(name="ann", secret="s3cr3t", coding=coding))
    world.serve()
    return world.code()


def wrong(code: str) -> str:
    return f"{code.partition('-')[0]}-wrong-guess"


def guess(world: World, code: str) -> Peer:
    """Somebody comes with the right number and wrong words, and is sent away."""
    peer = world.peer(wrong(code), on_message=accept)
    world.until(lambda: peer.result is not None)
    assert type(peer.result).__name__ == "WrongPasswordError"
    assert not peer.messages
    return peer


def works(world: World) -> bool:
    return world.status() == "waiting"


def words(world: World) -> list[str]:
    return [entry.heard for entry in world.history()]


def test_two_wrong_guesses_and_a_right_one(world: World) -> None:
    """The same code, in a new mailbox each time; what the operator sees of it."""
    code = begin(world)
    mailboxes = set()
    for number in (1, 2):
        world.until(lambda: works(world))
        mailboxes.update(world.server.tables().mailboxes)
        guess(world, code)
        world.until(lambda: works(world))
        assert world.code() == code
        assert world.published()["guesses"] == f"{number} of 3 were wrong"
    mailboxes.update(world.server.tables().mailboxes)
    assert len(mailboxes) == 3, mailboxes
    peer = world.peer(code, on_message=accept)
    world.until(world.finished)
    assert world.status() == "done"
    assert len(peer.messages) == 1
    said = words(world)
    assert said.count("flow: wrong code, guess 1 of 3; the code will be opened again") == 1
    assert said.count("flow: wrong code, guess 2 of 3; the code will be opened again") == 1
    assert said.count("flow: a new wormhole") == 2
    assert world.server.tables().empty


def test_three_wrong_guesses_end_it(world: World) -> None:
    """Whoever then comes with the right code finds nobody."""
    code = begin(world)
    for _ in range(3):
        world.until(lambda: works(world))
        guess(world, code)
    world.until(world.finished)
    assert world.status() == "scared"
    assert world.published()["guesses"] == "3 of 3 were wrong"
    late = world.peer(code, on_message=accept)
    world.advance(60)
    assert late.result is None
    assert not late.messages


def test_a_code_without_guesses_ends_at_the_first(world: World) -> None:
    """As ever; and nothing else is shown."""
    code = begin(world, guesses=1)
    guess(world, code)
    world.until(world.finished)
    assert world.status() == "scared"
    assert set(world.published()) == {"code", "reason"}
