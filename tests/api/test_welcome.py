"""Section "Welcome Messages": motd, error, version, and whatever else a server says."""

from typing import Any

import pytest

import holdfast
from tests.api.world import CODE, Delegate, Net

WELCOME = {
    "motd": "first line\nsecond line",
    "current_cli_version": "0.24.0",
    "a-key-of-the-future": {"nested": [1, None]},
}


def test_the_full_welcome_dictionary_is_given(net: Net) -> None:
    """`motd`, `current_cli_version`, and unknown keys pass through, in both modes."""
    net.server.welcome = WELCOME
    delegate = Delegate()
    deferred, _ = net.create(), net.create(delegate=delegate)
    assert net.result(deferred.get_welcome()) == WELCOME
    assert delegate.got("welcome") == WELCOME


def test_the_welcome_comes_before_any_code(net: Net) -> None:
    """An application can wait for it before it asks for a code."""
    ours = net.create()
    assert net.result(ours.get_welcome()) == {}
    ours.allocate_code()
    assert net.result(ours.get_code())


@pytest.mark.parametrize("mode", ["deferred", "delegated"])
def test_welcome_handler_is_called_with_the_welcome(net: Net, mode: str) -> None:
    """In both modes, once for each welcome that differs, also a later one."""
    net.server.welcome = WELCOME
    heard: list[Any] = []
    delegate = None if mode == "deferred" else Delegate()
    ours = net.create(delegate=delegate, welcome_handler=heard.append)
    ours.set_code(CODE)
    net.run()
    assert heard == [WELCOME]
    net.server.stop()
    net.server.start()
    net.run(2)
    assert heard == [WELCOME]
    net.server.stop()
    net.server.start()
    net.server.welcome = {"motd": "news"}
    net.run(2)
    assert heard == [WELCOME, {"motd": "news"}]


def test_a_welcome_handler_that_raises_ends_the_wormhole_with_its_error(net: Net) -> None:
    """The application's own exception is what `close` fails with, and is in the log."""
    from tests.harness.reactor import flush_logged_errors, start

    start()

    def fail(_: Any) -> None:
        raise ArithmeticError

    ours = net.create(welcome_handler=fail)
    waiting = ours.get_code()
    net.run()
    for each in (waiting, ours.close()):
        with pytest.raises(ArithmeticError):
            net.result(each)
    assert flush_logged_errors(ArithmeticError)


@pytest.mark.parametrize("error", ["too old\nplease upgrade", "", {"not": "text"}])
def test_error_is_wrapped_in_a_welcome_error(net: Net, error: Any) -> None:
    """A subclass of WormholeError with the server's text; the connection is closed."""
    net.server.welcome = {"error": error, "motd": "hello"}
    delegate, heard = Delegate(), list[Any]()
    net.create(delegate=delegate, welcome_handler=heard.append)
    net.run()
    assert [name for name, _ in delegate.told] == ["closed"]
    ended = delegate.got("closed")
    assert isinstance(ended, holdfast.WelcomeError)
    assert isinstance(ended, holdfast.WormholeError)
    assert str(ended) == str(error)
    assert heard == []
    assert not net.network.connectors


def test_all_api_calls_signal_the_error(net: Net) -> None:
    """Pending Deferreds errback, and so does everything that is asked afterwards."""
    net.server.welcome = {"error": "go away"}
    ours = net.create()
    ours.set_code(CODE)
    waiting = [ours.get_welcome(), ours.get_verifier(), ours.get_message()]
    net.run()
    for each in (*waiting, ours.get_welcome(), ours.get_code(), ours.close()):
        with pytest.raises(holdfast.WelcomeError, match=r"^go away$"):
            net.result(each)
    with pytest.raises(holdfast.WelcomeError):
        ours.input_code()


def test_error_counts_on_a_later_connection_too(net: Net) -> None:
    """A welcome with an error ends a wormhole in the middle of its life (BEHAVIOUR 12)."""
    ours, theirs = net.pair()
    net.result(ours.get_verifier())
    net.server.stop()
    net.server.start()
    net.server.welcome = {"error": "maintenance"}
    net.run(2)
    for each in (ours.get_welcome(), ours.get_message(), ours.close(), theirs.close()):
        with pytest.raises(holdfast.WelcomeError, match=r"^maintenance$"):
            net.result(each)


def test_null_is_no_error(net: Net) -> None:
    """A server whose error is null has none."""
    net.server.welcome = {"error": None}
    assert net.result(net.create().get_welcome()) == {"error": None}


@pytest.mark.parametrize("text", ["crowded", "no such thing\nat all", ""])
def test_an_explicit_error_message_is_a_server_error(net: Net, text: str) -> None:
    """At any time; the exception's text is the server's own (BEHAVIOUR 12)."""
    ours = net.create()
    ours.set_code(CODE)
    net.run()
    net.network.say("error", error=text, orig={})
    with pytest.raises(holdfast.ServerError) as ended:
        net.result(ours.close())
    assert str(ended.value) == text


def test_a_real_server_with_motd(tmp_path: Any) -> None:
    """The stock server's own `--motd` arrives."""
    from twisted.internet import reactor as real

    from tests.harness import reactor
    from tests.harness.server import MailboxServer

    async def ask(url: str) -> Any:
        ours = holdfast.create("example.com/motd", url, real)
        welcome = await ours.get_welcome()
        with pytest.raises(holdfast.LonelyError):
            await ours.close()
        return welcome

    with MailboxServer(tmp_path, motd="hello there") as server:
        assert reactor.run(lambda: ask(server.url))["motd"] == "hello there"
