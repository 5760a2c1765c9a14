"""Section "Verifier", and `derive_key`: the same bytes as the stock client's."""

from typing import Any

import pytest

import holdfast
from tests.api.world import APPID, CODE, Delegate, Net
from tests.harness import reactor
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

PURPOSES = ["", "purpose", "example.com/üb", "u\u0308bung", "lothar.com/wormhole/text", "x" * 500]
LENGTHS = [1, 16, 31, 32, 33, 64, 255, 8160]


def test_verifier_and_derived_keys_are_the_stock_clients(mailbox: MailboxServer) -> None:
    """Against a stock peer: verifier, and every purpose with every length, byte for byte."""
    from twisted.internet import reactor as real

    async def exchange() -> None:
        ours = holdfast.create(APPID, mailbox.url, real)
        stock = StockPeer(mailbox.url, appid=APPID)
        ours.allocate_code()
        stock.wormhole.set_code(await ours.get_code())
        verifier = await ours.get_verifier()
        assert verifier == await stock.wormhole.get_verifier()
        assert type(verifier) is bytes
        assert len(verifier) == 32
        for purpose in PURPOSES:
            for length in LENGTHS:
                ours_key = ours.derive_key(purpose, length)
                assert ours_key == stock.wormhole.derive_key(purpose, length)
                assert (type(ours_key), len(ours_key)) == (bytes, length)
        assert ours.derive_key("p") == ours.derive_key("p", 32)
        assert await ours.close() == await stock.close() == "happy"

    reactor.run(exchange)


def test_asking_for_the_verifier_does_not_affect_the_flow(net: Net) -> None:
    """Messages come before, between and after; nothing waits for anybody's approval."""
    ours, theirs = net.pair()
    theirs.send_message(b"one")
    assert net.result(ours.get_verifier()) == net.result(theirs.get_verifier())
    theirs.send_message(b"two")
    assert [net.result(ours.get_message()) for _ in range(2)] == [b"one", b"two"]


def test_messages_received_before_the_verifiers_are_compared_are_valid_afterwards(net: Net) -> None:
    """They wait in the queue until the application asks for them."""
    ours, theirs = net.pair()
    theirs.send_message(b"early")
    net.run()
    assert net.result(ours.get_verifier())
    assert net.result(ours.get_message()) == b"early"


@pytest.mark.parametrize("purpose", [b"bytes", None, 1])
def test_a_purpose_is_text_even_before_there_is_a_key(net: Net, purpose: Any) -> None:
    """TypeError comes before NoKeyError (BEHAVIOUR 1)."""
    with pytest.raises(TypeError, match="purpose"):
        net.create().derive_key(purpose, 32)
    ours, _ = net.pair()
    with pytest.raises(TypeError, match="purpose"):
        ours.derive_key(purpose, 32)


@pytest.mark.parametrize(
    ("length", "error"),
    [("32", TypeError), (32.0, TypeError), (True, TypeError), (0, ValueError), (-1, ValueError)],
)
def test_a_length_that_is_none(net: Net, length: Any, error: type[Exception]) -> None:
    """A length is a number of bytes from 1 to 8160."""
    ours, _ = net.pair()
    with pytest.raises(error):
        ours.derive_key("purpose", length)
    with pytest.raises(ValueError, match="8160"):
        ours.derive_key("purpose", 8161)


def test_no_key_error_before_there_is_a_key(net: Net) -> None:
    """Before a code, and with a code but no peer."""
    ours = net.create()
    with pytest.raises(holdfast.NoKeyError):
        ours.derive_key("purpose", 32)
    ours.set_code(CODE)
    net.run()
    with pytest.raises(holdfast.NoKeyError):
        ours.derive_key("purpose", 32)


def test_keys_can_be_derived_from_the_unverified_key_on(net: Net) -> None:
    """Inside that very callback, and they stay the same (BEHAVIOUR 1)."""
    keys: list[bytes] = []
    delegate = Delegate(on={"unverified_key": lambda _: keys.append(ours.derive_key("p", 32))})
    ours, theirs = net.create(delegate=delegate), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    assert keys == [ours.derive_key("p", 32)] == [theirs.derive_key("p", 32)]


def test_purposes_are_normalized(net: Net) -> None:
    """Composed and decomposed letters mean the same; other purposes give other keys."""
    ours, _ = net.pair()
    assert ours.derive_key("\u00fcbung", 32) == ours.derive_key("u\u0308bung", 32)
    assert ours.derive_key("a", 32) != ours.derive_key("b", 32)
    assert ours.derive_key("a", 64)[:32] == ours.derive_key("a", 32)


def test_keys_survive_saving(net: Net) -> None:
    """A resumed wormhole derives what it derived before."""
    ours, theirs = net.create(delegate=object()), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    key, document = ours.derive_key("p", 32), ours.serialize()
    ours.abandon()
    assert net.resume(document, object()).derive_key("p", 32) == key
