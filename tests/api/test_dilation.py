"""`w.dilate()` in both modes, on a network in memory: what the application hears, and when."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.protocol import Factory, Protocol

import holdfast
from holdfast.transit.network import through
from holdfast_journal import Journal, NewFlow, Snapshot
from tests.api.world import CODE, Delegate, Net
from tests.harness.reactor import flush_logged_errors
from tests.transit.memory_network import World


@pytest.fixture
def world(net: Net) -> World:
    """One host, on which all wormholes of the test are."""
    made = World(net.clock)
    through(net.clock, made.host("192.168.7.7"))
    return made


@define(eq=False)
class Keeper(Protocol):
    """Keeps the records of one subchannel, and saves how many there were."""

    kept: list[bytes]
    lost: list[Any] = field(factory=list)
    count: int = 0

    def dataReceived(self, data: bytes) -> None:
        self.kept.append(data)
        self.count += 1

    def save_state(self) -> Any:
        return {"count": self.count}

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.append(reason.type.__name__)


@define(eq=False)
class Keepers(Factory):
    """Their factory; remembers for which addresses it made one."""

    kept: list[bytes] = field(factory=list)
    made: list[Keeper] = field(factory=list)
    addresses: list[Any] = field(factory=list)

    def buildProtocol(self, addr: Any) -> Keeper:
        self.addresses.append(addr)
        self.made.append(Keeper(self.kept, count=addr.received))
        return self.made[-1]


class Hears(Delegate):
    """A delegate that has a method `wormhole_dilated`."""

    def wormhole_dilated(self, dilated: Any) -> None:
        self._tell("dilated", dilated)


def dilated_pair(net: Net, **options: Any) -> tuple[Any, Any, Any, Any]:
    """Two wormholes in Deferred mode, dilated, and what they hold of that."""
    ours, theirs = net.create(**options), net.create()
    there = ours.dilate(), theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    assert net.result(there[0].when_dilated()) is None
    assert net.result(there[1].when_dilated()) is None
    return ours, theirs, *there


def opened(net: Net, dilated: Any, name: str = "x") -> Any:
    """A protocol of ours on a new subchannel."""
    return net.result(dilated.connector_for(name).connect(Factory.forProtocol(Protocol)))


# What the peer is told.


@pytest.mark.parametrize(
    ("options", "can"),
    [
        ({"dilation": True}, True),
        ({"delegate": Hears()}, True),
        ({"delegate": Hears(), "dilation": False}, False),
        ({"delegate": Delegate()}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_wormhole_says_that_it_can_if_its_application_may_want_it(
    net: Net, world: World, options: dict[str, Any], can: bool
) -> None:
    """By `dilation=`, or because the delegate has a method for it; otherwise it says nothing."""
    peer = Hears()
    ours, theirs = net.create(**options), net.create(delegate=peer)
    theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    errors = [each for name, each in peer.told if name == "cannot_dilate"]
    assert [type(each) for each in errors] == ([] if can else [holdfast.OldPeerCannotDilateError])
    theirs.send_message(b"messages go on")
    net.run()
    assert ours.serialize is not None
    if not options:
        assert net.result(ours.get_message()) == b"messages go on"


def test_a_peer_that_cannot_fails_what_waits_for_it(net: Net, world: World) -> None:
    """At once, not after a time-out that nobody asked for."""
    ours, theirs = net.create(dilation=True), net.create()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    dilated = ours.dilate()
    with pytest.raises(holdfast.OldPeerCannotDilateError, match="Messages can still"):
        net.result(dilated.when_dilated())


# Calls that are refused.


def test_dilate_is_called_once(net: Net, world: World) -> None:
    """A second call is refused; the first goes on."""
    ours = net.create()
    ours.dilate()
    with pytest.raises(holdfast.CanOnlyDilateOnceError):
        ours.dilate()


def test_dilate_comes_too_late_for_a_peer_that_was_told_otherwise(net: Net, world: World) -> None:
    """It says what to do, and nothing has changed."""
    ours, _ = net.pair()
    with pytest.raises(holdfast.DilationNotOfferedError, match="dilation=True"):
        ours.dilate()
    with pytest.raises(ValueError, match="dilation=True"):
        ours.dilate()


def test_dilate_after_the_end_is_refused(net: Net, world: World) -> None:
    """A wormhole that closes opens nothing."""
    ours, theirs = net.pair(dilation=True)
    ours.close()
    with pytest.raises(holdfast.WormholeClosed):
        ours.dilate()
    theirs.close()
    net.run()


@pytest.mark.parametrize(
    "arguments",
    [
        {"transit_relay_location": "no relay"},
        {"ping_interval": 0},
        {"ping_interval": float("nan")},
        {"peer_timeout": -1},
        {"peer_timeout": float("inf")},
        {"expected_subprotocols": "x"},
        {"expected_subprotocols": [1]},
    ],
    ids=str,
)
def test_arguments_are_checked(net: Net, world: World, arguments: dict[str, Any]) -> None:
    """With words, and before anything has happened: the next call may be right."""
    ours = net.create()
    with pytest.raises((ValueError, TypeError), match=r"seconds|relay|names"):
        ours.dilate(**arguments)
    ours.dilate()


# Both modes.


def test_records_go_both_ways_in_deferred_mode(net: Net, world: World) -> None:
    """One write is one record, and a message goes beside it."""
    ours, theirs, here, there = dilated_pair(net)
    keepers = Keepers()
    here.listener_for("x").listen(keepers)
    protocol = opened(net, there)
    for each in (b"one", b"", b"two"):
        protocol.transport.write(each)
    theirs.send_message(b"a message")
    net.run()
    assert keepers.kept == [b"one", b"", b"two"]
    assert net.result(ours.get_message()) == b"a message"
    assert [each.subprotocol for each in keepers.addresses] == ["x"]


@pytest.mark.parametrize("where", ["code", "unverified_key", "verifier", "versions", "message"])
def test_dilate_works_inside_every_delegate_method(net: Net, world: World, where: str) -> None:
    """Whatever the peer has said by then; and both are told once that there is a connection."""
    delegate, other = Hears(), Hears()
    ours, theirs = net.create(delegate=delegate), net.create(delegate=other)
    delegate.on[where] = lambda _: ours.dilate()
    theirs.dilate()
    theirs.send_message(b"message")
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    for each in (delegate, other):
        assert each.names.count("dilated") == 1
        assert each.names.index("dilated") > each.names.index("versions")
    keepers = Keepers()
    delegate.got("dilated").listener_for("x").listen(keepers)
    opened(net, other.got("dilated")).transport.write(b"record")
    net.run()
    assert keepers.kept == [b"record"]


def test_however_often_the_connection_breaks_a_document_stays_small(net: Net, world: World) -> None:
    """What the other side has read of the phases need not be kept, on either side."""
    ours, theirs, here, there = dilated_pair(net)
    keepers = Keepers()
    here.listener_for("x").listen(keepers)
    protocol = opened(net, there)
    for number in range(10):
        dilation: Any = ours._inner._happening.dilation
        dilation._dilation._traffic.link.abort()
        protocol.transport.write(b"%d" % number)
        net.run(20)
        assert keepers.kept[-1] == b"%d" % number
    for each in (ours, theirs):
        outbox = each._inner.exchange.outbox.data
        assert outbox.next_dilation > 10
        assert len(outbox.dilations) < 5
        assert len(each._inner.document()) < 7_000


# The end.


def test_close_closes_the_subchannels_first(net: Net, world: World) -> None:
    """What was written arrives, both ends hear of the end, and the wormhole ends happily."""
    ours, theirs, here, there = dilated_pair(net)
    keepers = Keepers()
    there.listener_for("x").listen(keepers)
    protocol = opened(net, here)
    protocol.transport.write(b"last words")
    ending = ours.close()
    ours.send_message(b"too late")
    assert ours.close() is not ending
    assert net.result(ending) == "happy"
    assert keepers.kept == [b"last words"]
    assert [each.lost for each in keepers.made] == [["ConnectionDone"]]
    assert net.result(theirs.close(), seconds=30) == "happy"
    net.run(60)
    assert not net.clock.getDelayedCalls()
    assert world.listening == {}
    with pytest.raises(holdfast.WormholeClosed):
        net.result(theirs.get_message())


def test_close_does_not_wait_long_for_a_peer_that_is_gone(net: Net, world: World) -> None:
    """Ten seconds, and the wormhole ends happily all the same."""
    ours, _, here, _ = dilated_pair(net)
    opened(net, here).transport.write(b"never acknowledged")
    world.silent.add("192.168.7.7")
    assert net.result(ours.close(), seconds=30) == "happy"


def test_a_failing_protocol_is_a_failing_application(net: Net, world: World) -> None:
    """As in a delegate: the wormhole is abandoned, and `wormhole_closed` hears why."""

    class Fails(Protocol):
        def dataReceived(self, data: bytes) -> None:
            raise LookupError("on purpose")

    delegate = Delegate()
    ours, theirs = net.create(delegate=delegate), net.create()
    here, there = ours.dilate(), theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    here.listener_for("x").listen(Factory.forProtocol(Fails))
    opened(net, there).transport.write(b"record")
    net.run()
    assert isinstance(delegate.got("closed"), LookupError)
    assert flush_logged_errors(LookupError)


def test_subchannels_hear_of_a_bad_end(net: Net, world: World) -> None:
    """A server that ends the wormhole ends them too, before `wormhole_closed`; nothing remains."""
    delegate = Delegate()
    ours, theirs = net.create(delegate=delegate), net.create()
    here, there = ours.dilate(), theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    keepers = Keepers()
    here.listener_for("x").listen(keepers)
    opened(net, there)
    ended: list[list[Any]] = []
    delegate.on["closed"] = lambda _: ended.append(keepers.made[0].lost[:])
    net.network.say("error", error="go away", orig={})
    net.run(30)
    assert ended == [["ServerError"]]
    with pytest.raises(holdfast.ServerError):
        net.result(here.when_dilated())
    assert not net.clock.getDelayedCalls()
    assert world.listening == {}


# Saving.


def test_a_damaged_dilation_is_refused_and_the_right_one_goes_on(net: Net, world: World) -> None:
    """With BadCheckpoint, and before anything has happened."""
    delegate = Hears()
    ours, theirs = net.create(delegate=delegate), net.create()
    ours.dilate()
    dilated = theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    document = json.dumps(ours.serialize())
    ours.abandon()
    for damage in ([], {}, {"state": {}}, {"state": {"version": 99}}, {"more": 1}):
        data = json.loads(document)
        data["dilation"] = damage if damage in ([], {}) else {**data["dilation"], **damage}
        with pytest.raises(holdfast.BadCheckpoint):
            net.resume(data, Hears())
    second = Hears()
    resumed = net.resume(document, second)
    assert second.names == ["dilated"]
    keepers = Keepers()
    second.got("dilated").listener_for("x").listen(keepers)
    connecting = dilated.connector_for("x").connect(Factory.forProtocol(Protocol))
    net.result(connecting, seconds=60).transport.write(b"record")
    net.run(1)
    assert keepers.kept == [b"record"]
    resumed.close()
    net.run(30)
    assert second.got("closed") == "happy"


def test_a_wormhole_that_ended_does_not_dilate_again(net: Net, world: World) -> None:
    """Its document can be read, and leads to nothing."""
    delegate = Delegate()
    ours, theirs = net.create(delegate=delegate), net.create()
    ours.dilate()
    theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run()
    ours.close()
    net.run(30)
    document = json.dumps(ours.serialize())
    ours.abandon()
    second = Hears()
    net.resume(document, second)
    net.run(5)
    assert second.told == []


# A process that dies.


class KilledError(Exception):
    """The process is dead."""


class Echo(Protocol):
    """Answers each record of a subchannel."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"echo " + data)


@define(eq=False)
class Process:
    """A journaled wormhole that echoes, and dies at its commit of this number, and comes back.

    Args:
        net: where it lives.
        dies_at: the number of the commit.
        stored: whether it dies behind that, and not before.
    """

    net: Net
    dies_at: int
    stored: bool
    document: str = ""
    commits: int = 0
    wormhole: Any = None
    told: list[str] = field(factory=list)

    def live(self) -> None:
        """Begin, or come back from the last commit."""
        self.wormhole = None
        journal = Journal(self.save)
        try:
            if self.document:
                self.wormhole = self.net.resume(self.document, self, journal)
            else:
                self.wormhole = self.net.create(delegate=self, journal=journal)
                self.wormhole.dilate()
            if self.wormhole.exchange.code.state == "unset":
                self.wormhole.set_code(CODE)
        except KilledError:
            self.dead()

    def save(self) -> None:
        if self.wormhole is None:
            return  # it is just being loaded
        self.commits += 1
        document = json.dumps(self.wormhole.serialize())
        if self.commits != self.dies_at:
            self.document = document
            return
        if self.stored:
            self.document = document
        raise KilledError

    def close(self) -> None:
        try:
            self.wormhole.close()
        except KilledError:
            self.dead()
            self.net.clock.callLater(2, self.close)

    def dead(self) -> None:
        self.net.clock.callLater(1, self.live)

    def wormhole_dilated(self, dilated: Any) -> None:
        dilated.listener_for("x").listen(Factory.forProtocol(Echo))

    def wormhole_closed(self, result: Any) -> None:
        if isinstance(result, KilledError):
            self.dead()
        else:
            self.told.append(result)


def echoed(net: Net, dies_at: int, *, stored: bool) -> int:
    """Have a process echo six records, and die once; return how many commits there were."""
    through(net.clock, World(net.clock).host("192.168.7.7"))
    process = Process(net, dies_at, stored)
    process.live()
    peer = net.create()
    keepers = Keepers()
    connecting = peer.dilate().connector_for("x").connect(keepers)
    peer.set_code(CODE)
    net.run(5)
    protocol = net.result(connecting, seconds=300)
    for number in range(6):
        protocol.transport.write(b"%d" % number)
        net.run(0.1)
    net.run(300)
    assert keepers.kept == [b"echo %d" % number for number in range(6)]
    ending = peer.close()
    process.close()
    net.run(60)
    assert net.result(ending) == "happy"
    assert process.told[-1] == "happy"
    return process.commits


@pytest.mark.parametrize("stored", [False, True])
def test_every_record_is_echoed_once_wherever_the_process_dies(stored: bool) -> None:
    """Before or behind any of its commits; the peer notices nothing but a new connection."""
    commits = echoed(Net(), 0, stored=stored)
    assert commits > 20
    for dies_at in range(1, commits + 1):
        echoed(Net(), dies_at, stored=stored)
    flush_logged_errors(KilledError)


def test_a_journal_hears_of_it_only_when_from_serialized_has_returned(
    net: Net, world: World
) -> None:
    """One flow's journal, to which the application then says what is to be saved."""
    database = holdfast.SqlJournal.open_inline("sqlite://", clock=net.clock.seconds)
    database.start_flows("api", [NewFlow("ada", "mine", b"parameters")])

    def attach(journal: Any, wormhole: Any) -> None:
        journal.attach(
            lambda: Snapshot("busy", json.dumps(wormhole.serialize()).encode(), {}, False, False)
        )

    [flow] = database.take()
    first, second, keepers = Hears(), Hears(), Keepers()
    ours, theirs = net.create(delegate=first, journal=flow.journal), net.create()
    attach(flow.journal, ours)
    ours.dilate()
    dilated = theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run(1)
    opened(net, dilated).transport.write(b"before anybody listened")
    net.run(1)
    ours.abandon()
    kinds = {row.kind for row in database.history(flow.id)}
    assert {"dilate", "send-dilation", "dilation"} <= kinds
    database.give_back()
    [again] = database.take()
    second.on["dilated"] = lambda it: it.listener_for("x").listen(keepers)
    resumed = net.resume(again.checkpoint.decode(), second, again.journal)
    attach(again.journal, resumed)
    assert second.names == ["dilated"]
    net.run(20)
    assert keepers.kept == [b"before anybody listened"]
    resumed.close()
    net.run(30)
    assert second.got("closed") == "happy"
    database.close()


def test_nothing_of_dilation_is_loaded_for_a_wormhole_that_does_not_dilate() -> None:
    """Thousands wait in one process."""
    look = (
        "import sys, holdfast\n"
        "from holdfast.testing import Clock\n"
        "from tests.api.world import Net\n"
        "net = Net(); a, b = net.pair(); a.close(); b.close(); net.run()\n"
        "print([each for each in sys.modules if each.startswith('holdfast.dilation')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
