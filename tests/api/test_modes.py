"""Sections "Modes", "Application Identifier", "Wormhole Parameters", "Events" and "Bytes..."."""

from typing import Any

import pytest

import holdfast
from tests.api.world import APPID, CODE, URL, Delegate, Net


def test_a_quick_example(net: Net) -> None:
    """The document's first program, both ways: a code, a message each way, and a happy end."""
    ours, theirs = net.create(), net.create()

    async def go() -> tuple[str, bytes, str]:
        ours.allocate_code()
        code = await ours.get_code()
        theirs.set_code(code)
        ours.send_message(b"outbound data")
        inbound = await ours.get_message()
        return code, inbound, await ours.close()

    async def answer() -> bytes:
        theirs.send_message(b"thanks")
        return await theirs.get_message()

    from twisted.internet.defer import Deferred

    other = Deferred.fromCoroutine(answer())
    code, inbound, ended = net.result(Deferred.fromCoroutine(go()))
    assert net.result(other) == b"outbound data"
    assert (inbound, ended) == (b"thanks", "happy")
    assert code.partition("-")[0].isdigit()
    net.result(theirs.close())
    assert net.server.tables().empty


class MyDelegate:
    """The document's own example, which leaves most methods out."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def wormhole_got_code(self, code: str) -> None:
        self.lines.append(f"code: {code}")

    def wormhole_got_message(self, msg: bytes) -> None:
        self.lines.append(f"got data, {len(msg)} bytes")


def test_delegated_mode_with_only_the_methods_it_needs(net: Net) -> None:
    """A delegate may leave out methods, even `wormhole_closed` (BEHAVIOUR 23)."""
    delegate = MyDelegate()
    ours, theirs = net.create(delegate=delegate), net.create()
    ours.allocate_code()
    net.run()
    theirs.set_code(delegate.lines[0].removeprefix("code: "))
    theirs.send_message(b"four")
    theirs.send_message(b"")
    net.run()
    assert delegate.lines[1:] == ["got data, 4 bytes", "got data, 0 bytes"]
    ours.close()
    theirs.close()
    net.run()
    assert net.server.tables().empty


def test_deferred_mode_gets_exactly_one_message_a_call(net: Net) -> None:
    """`get_message` is given one message, and the next waits for the next call."""
    ours, theirs = net.pair()
    got: list[bytes] = []
    ours.get_message().addCallback(got.append)
    theirs.send_message(b"one")
    theirs.send_message(b"two")
    net.run()
    assert got == [b"one"]
    assert net.result(ours.get_message()) == b"two"


def test_the_mode_follows_from_the_delegate(net: Net) -> None:
    """None, the default, gives Deferred mode; a delegate gives a wormhole without `get_`."""
    assert isinstance(net.create(), holdfast.DeferredWormhole)
    assert isinstance(net.create(delegate=None), holdfast.DeferredWormhole)
    ours = net.create(delegate=object())
    assert isinstance(ours, holdfast.DelegatedWormhole)
    assert not hasattr(ours, "get_code")


# Application Identifier.


def test_different_application_identifiers_do_not_see_each_other(mailbox: Any) -> None:
    """The same code under another identifier is another wormhole; "domain/path" are fine."""
    from twisted.internet import reactor as real

    from tests.harness import reactor

    async def exchange() -> None:
        def make(appid: str) -> Any:
            made = holdfast.create(appid, mailbox.url, real)
            made.set_code("901-same-code")
            return made

        first, second = make("example.com/app1"), make("example.com/app2")
        met = make("example.com/app1")
        first.send_message(b"for app1")
        assert await met.get_message() == b"for app1"
        with pytest.raises(holdfast.LonelyError):
            await second.close()
        assert [await first.close(), await met.close()] == ["happy", "happy"]

    reactor.run(exchange)


def test_the_application_identifier_is_normalized(net: Net) -> None:
    """One side may type it composed and the other decomposed (BEHAVIOUR 2)."""
    ours, theirs = net.create("example.com/\u00e4"), net.create("example.com/a\u0308")
    ours.set_code(CODE)
    theirs.set_code(CODE)
    assert net.result(ours.get_verifier()) == net.result(theirs.get_verifier())


# Wormhole Parameters.


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((b"appid", URL), TypeError),
        ((APPID, URL.encode()), TypeError),
        ((None, URL), TypeError),
        ((APPID, "http://relay.example/v1"), holdfast.BadRelayUrl),
        ((APPID, "ws://me:secret@relay.example/v1"), holdfast.BadRelayUrl),
        ((APPID, ""), ValueError),
    ],
    ids=range(6),
)
def test_appid_and_relay_url_are_text(net: Net, words: Any, error: type[Exception]) -> None:
    """Anything else is refused where it is given, and nothing is connected."""
    with pytest.raises(error):
        holdfast.create(*words, net.clock)
    assert not net.network.connectors


def test_versions_are_made_available_to_the_peer_before_any_message(net: Net) -> None:
    """Nested JSON values arrive, as they were when they were given, before the messages."""
    versions: dict[str, Any] = {"abilities": [1, None, {"ü": "x"}]}
    delegate = Delegate()
    ours, theirs = net.create(versions=versions), net.create(delegate=delegate)
    versions["later"] = True
    ours.send_message(b"message")
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    assert delegate.got("versions") == {"abilities": [1, None, {"ü": "x"}]}
    assert delegate.names.index("versions") < delegate.names.index("message")


def test_without_versions_the_peer_gets_none(net: Net) -> None:
    """The default is an empty dictionary."""
    ours, _ = net.pair()
    assert net.result(ours.get_versions()) == {}


# Events.


def test_events_in_delegated_mode_in_their_order(net: Net) -> None:
    """Welcome, code, key, verifier, versions, messages, closed last and once (BEHAVIOUR 22)."""
    delegate = Delegate()
    ours, theirs = net.create(delegate=delegate), net.create(versions={"v": 1})
    ours.set_code(CODE)
    theirs.set_code(CODE)
    theirs.send_message(b"message")
    net.run()
    ours.close()
    theirs.close()
    net.run()
    expected = ["code", "welcome", "unverified_key", "verifier", "versions", "message", "closed"]
    assert delegate.names == expected
    assert delegate.got("closed") == "happy"
    assert delegate.got("versions") == {"v": 1}
    ours.close()
    net.run()
    assert delegate.names == expected


def test_code_fires_inside_set_code_for_a_delegate(net: Net) -> None:
    """A delegate gets `wormhole_got_code` immediately, inside `set_code` (BEHAVIOUR 21)."""
    delegate = Delegate()
    ours = net.create(delegate=delegate)
    ours.set_code(CODE)
    assert delegate.told == [("code", CODE)]


def test_key_tells_that_somebody_answered_who_may_not_know_the_code(net: Net) -> None:
    """With another code both get an unverified key, not the same, and no verifier."""
    delegates = [Delegate(), Delegate()]
    for delegate, code in zip(delegates, (CODE, CODE + "x"), strict=True):
        net.create(delegate=delegate).set_code(code)
    net.run()
    keys = [delegate.got("unverified_key") for delegate in delegates]
    assert keys[0] != keys[1]
    assert [len(key) for key in keys] == [32, 32]
    for delegate in delegates:
        assert "verifier" not in delegate.names
        assert isinstance(delegate.got("closed"), holdfast.WrongPasswordError)


# Every call from every callback.

CALLBACKS = ["welcome", "code", "unverified_key", "verifier", "versions", "message", "closed"]


@pytest.mark.parametrize("where", CALLBACKS)
def test_every_call_works_inside_every_delegate_method(net: Net, where: str) -> None:
    """No call from inside a callback is lost or reordered (BEHAVIOUR 22)."""
    ours = theirs = None
    derived: list[bytes] = []

    def act(_: object) -> None:
        assert ours is not None
        ours.send_message(b"first")
        ours.send_message(b"second")
        if where in CALLBACKS[2:]:
            derived.append(ours.derive_key("purpose", 16))
        assert ours.serialize()["version"] == 4
        ours.close()

    delegate, other = Delegate(on={where: act}), Delegate()
    ours, theirs = net.create(delegate=delegate), net.create(delegate=other)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    theirs.send_message(b"message")
    net.run()
    if where == "closed":
        ours.close()
        net.run()
    happy = where in ("verifier", "versions", "message", "closed")
    assert (delegate.got("closed") == "happy") is happy
    assert other.messages == ([b"first", b"second"] if happy and where != "closed" else [])
    assert all(len(each) == 16 for each in derived)
    theirs.close()
    net.run()
    assert net.server.tables().empty


@pytest.mark.parametrize("where", CALLBACKS[:-1])
def test_every_call_works_inside_every_deferreds_callback(net: Net, where: str) -> None:
    """The same in Deferred mode."""
    ours, theirs = net.create(), net.create()
    ends: list[Any] = []

    def act(_: object) -> None:
        ours.send_message(b"first")
        ours.send_message(b"second")
        ours.close().addBoth(ends.append)

    getattr(ours, f"get_{where}")().addCallback(act)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    theirs.send_message(b"message")
    net.run()
    # Deferreds fire in a turn of their own, when the peer may have proved itself meanwhile.
    assert ends[0] == "happy" or ends[0].check(holdfast.LonelyError)
    if where in ("verifier", "versions", "message"):
        assert ends == ["happy"]
        assert net.result(theirs.get_message()) == b"first"
        assert net.result(theirs.get_message()) == b"second"
    theirs.close().addErrback(lambda failure: failure.trap(holdfast.WormholeError))
    net.run()
    assert net.server.tables().empty


# Bytes, Strings, Unicode.


@pytest.mark.parametrize("value", ["text", bytearray(b"x"), memoryview(b"x"), None, 1])
def test_data_out_is_bytes(net: Net, value: Any) -> None:
    """Only bytes can be sent."""
    with pytest.raises(TypeError, match="bytes"):
        net.create().send_message(value)


@pytest.mark.parametrize("value", [b"4-purple", None, 4])
def test_a_code_is_text(net: Net, value: Any) -> None:
    """A code of another type is a TypeError, and uses up nothing."""
    ours = net.create()
    with pytest.raises(TypeError, match="text"):
        ours.set_code(value)
    ours.set_code(CODE)


def test_types_of_what_comes_in(net: Net) -> None:
    """Verifier, key and data are bytes; the code is text; welcome and versions dictionaries."""
    ours, theirs = net.pair()
    theirs.send_message(b"x")
    types = {
        "welcome": dict,
        "code": str,
        "unverified_key": bytes,
        "verifier": bytes,
        "versions": dict,
        "message": bytes,
    }
    for name, kind in types.items():
        assert type(net.result(getattr(ours, f"get_{name}")())) is kind


def test_full_api_list(net: Net) -> None:
    """Every call of the document's table is there, in the mode in which it lists it."""
    deferred, delegated = net.create(), net.create(delegate=object())
    both = ["allocate_code", "input_code", "set_code", "derive_key", "send_message", "close"]
    for name in both:
        assert callable(getattr(deferred, name))
        assert callable(getattr(delegated, name))
    for name in CALLBACKS[:-1]:
        assert callable(getattr(deferred, f"get_{name}"))
