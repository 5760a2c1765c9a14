"""What `create` and `from_serialized` give, and what they take."""

from typing import Any, assert_type

from twisted.internet.defer import Deferred

from holdfast import (
    Connection,
    DeferredWormhole,
    DelegatedWormhole,
    IJournal,
    ImmediateJournal,
    SqlJournal,
    Status,
    TransitReceiver,
    TransitSender,
    create,
    from_serialized,
)

APPID, RELAY = "example.com/typing", "ws://relay.example.com:4000/v1"


class Delegate:
    """A delegate has only the methods that it cares about."""

    def wormhole_got_message(self, message: bytes) -> None:
        pass


def deferred(reactor: Any) -> None:
    wormhole = create(APPID, RELAY, reactor)
    assert_type(wormhole, DeferredWormhole)
    assert_type(wormhole.get_code(), Deferred[str])
    assert_type(wormhole.get_message(), Deferred[bytes])
    transit = wormhole.create_transit("sender")
    assert_type(transit, TransitSender | TransitReceiver)
    assert_type(transit.connect(), Deferred[Connection])
    wormhole.create_transit("both")  # refused: incompatible type
    wormhole.send_message("text")  # refused: incompatible type "str"; expected "bytes"
    wormhole.get_codes()  # refused: has no attribute "get_codes"


def delegated(reactor: Any, journal: IJournal) -> None:
    wormhole = create(APPID, RELAY, reactor, delegate=Delegate())
    assert_type(wormhole, DelegatedWormhole)
    assert_type(
        create(APPID, RELAY, reactor, delegate=Delegate(), journal=journal), DelegatedWormhole
    )
    wormhole.get_code()  # refused: has no attribute "get_code"


def journalled(reactor: Any, sql: SqlJournal) -> None:
    create(APPID, RELAY, reactor, delegate=Delegate(), journal=ImmediateJournal())
    create(APPID, RELAY, reactor, journal=ImmediateJournal())  # refused: No overload variant
    create(APPID, RELAY, reactor, delegate=Delegate(), journal=sql)  # refused: No overload variant
    create(APPID, RELAY, reactor, delegate=Delegate(), journal="j")  # refused: No overload variant


def options(reactor: Any) -> None:
    def told(status: Status) -> None:
        pass

    def told_text(status: str) -> None:
        pass

    create(APPID, RELAY, reactor, {"a": 1}, on_status_update=told, first_failure_is_final=True)
    create(APPID, RELAY, reactor, on_status_update=told_text)  # refused: incompatible type
    create(APPID, RELAY, reactor, ["a"])  # refused: No overload variant
    create(APPID, RELAY)  # refused: No overload variant
    create(APPID, RELAY, reactor, on_staus_update=told)  # refused: No overload variant


def resumed(reactor: Any, document: dict[str, Any]) -> None:
    assert_type(from_serialized(document, reactor, Delegate()), DelegatedWormhole)
    from_serialized(document, reactor)  # refused: Missing positional argument "delegate"
