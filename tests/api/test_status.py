"""`on_status_update`: how the connection stands, and how far the peer's key is."""

from typing import Any

import holdfast
from holdfast.status import (
    AllegedKey,
    Closed,
    ConfirmedKey,
    Connected,
    Connecting,
    Disconnected,
    NoKey,
    NotConnecting,
    Status,
    Unreachable,
)
from tests.api.world import CODE, URL, Delegate, Net
from tests.harness.reactor import flush_logged_errors, start


def test_the_whole_life_of_a_wormhole(net: Net) -> None:
    """Connecting, connected, closed; and none, alleged, confirmed: each change told once."""
    heard: list[Status] = []
    ours, theirs = net.create(on_status_update=heard.append), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    net.result(ours.close())
    connection, connected = Connecting(URL), Connected(URL)
    assert heard == [
        Status(connection, NoKey()),
        Status(connected, NoKey()),
        Status(connected, AllegedKey()),
        Status(connected, ConfirmedKey()),
        Status(Closed(), ConfirmedKey()),
    ]


def test_wrong_words_are_alleged_and_never_confirmed(net: Net) -> None:
    """The peer's key stays alleged."""
    heard: list[Status] = []
    net.create(delegate=object(), on_status_update=heard.append).set_code(CODE)
    net.create(delegate=object()).set_code(CODE + "x")
    net.run()
    assert heard[-1] == Status(Closed(), AllegedKey())


def test_connections_come_and_go(net: Net) -> None:
    """Unreachable with reason and delay, connected, disconnected with the reason."""
    heard: list[Any] = []
    net.server.stop()
    ours = net.create(on_status_update=lambda status: heard.append(status.mailbox_connection))
    net.run()
    net.server.start()
    net.run(2)
    net.server.stop()
    net.run()
    assert heard[:4] == [
        Connecting(URL),
        Unreachable(URL, "connection refused", 1.0),
        Connected(URL),
        Disconnected(URL, "the server hung up"),
    ]
    assert isinstance(ours, holdfast.DeferredWormhole)


def test_values_are_attrs_with_defaults() -> None:
    """A Status is a frozen value; at first nothing was tried and nobody answered."""
    assert Status() == Status(NotConnecting(), NoKey())
    assert {Status(): 1}[Status()] == 1


def test_a_listener_that_raises_costs_nothing(net: Net) -> None:
    """Its exception is in the log; the wormhole goes on."""
    start()

    def fail(_: Status) -> None:
        raise ArithmeticError

    ours, theirs = net.create(on_status_update=fail), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    ours.send_message(b"x")
    assert net.result(theirs.get_message()) == b"x"
    assert flush_logged_errors(ArithmeticError)


def test_calls_from_inside_a_listener(net: Net) -> None:
    """Closing as soon as the key is confirmed, or as soon as there is a connection."""
    for wanted in (ConfirmedKey(), Connected(URL), Connecting(URL)):
        delegate = Delegate()
        made: list[Any] = []

        def close(status: Status, wanted: Any = wanted, made: list[Any] = made) -> None:
            if wanted in (status.mailbox_connection, status.peer_key) and made:
                made[0].close()

        made.append(net.create(delegate=delegate, on_status_update=close))
        other = net.create(delegate=object())
        made[0].set_code(CODE)
        other.set_code(CODE)
        net.run()
        other.close()
        net.run()
        ended = delegate.told[-1]
        if wanted == ConfirmedKey():
            assert ended == ("closed", "happy")
        elif wanted == Connected(URL):
            assert isinstance(ended[1], holdfast.LonelyError)
        made[0].close()
        net.run()
        assert net.server.tables().empty
