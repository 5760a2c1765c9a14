"""Two exchanges and a server between them, cut, killed and started again at any point."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.core import events as ev
from holdfast.core import notices as out
from tests.core.clients import Client, run_to_the_end, settle
from tests.core.mailboxes import STRANGER, Server

RUN = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
which = st.sampled_from(["alice", "bob"])
steps = st.integers(1, 6)
begun = st.integers(0, 40)


class Pair(RuleBasedStateMachine):
    """Everything that may happen between two honest sides and their server."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.clients = {name: Client(name, self.server) for name in ("alice", "bob")}
        self.sent: dict[str, list[bytes]] = {"alice": [], "bob": []}

    @property
    def alice(self) -> Client:
        return self.clients["alice"]

    @property
    def bob(self) -> Client:
        return self.clients["bob"]

    def peer_of(self, name: str) -> Client:
        return self.bob if name == "alice" else self.alice

    def meet(self, count: int) -> None:
        """Begin after *count* undisturbed steps, so that later stages are met often too."""
        for client in (self.alice, self.bob):
            client.connect()
        for _ in range(count):
            self.give_bob_the_code()
            for client in (self.alice, self.bob):
                if client.line is not None and client.line.up:
                    self.server.hear(client.line)
                elif client.line is not None and client.line.down:
                    client.listen()

    def give_bob_the_code(self) -> None:
        if self.bob.exchange.code.state == "unset" and self.alice.code:
            self.bob.happen(ev.SetCode(self.alice.code))

    # What the network does.

    @rule(names=st.sampled_from([("alice",), ("bob",), ("alice", "bob")]))
    @precondition(lambda self: any(c.line is None for c in self.clients.values()))
    def connect(self, names: tuple[str, ...]) -> None:
        for name in names:
            client = self.clients[name]
            if client.line is None and not client.exchange.ended:
                client.connect()

    @rule(name=which, up=st.booleans(), count=steps)
    def deliver(self, name: str, up: bool, count: int) -> None:
        client = self.clients[name]
        for _ in range(count):
            if client.line is None:
                return
            if up and client.line.up:
                self.server.hear(client.line)
            elif not up and client.line.down:
                client.listen()

    @rule()
    def deliver_everything(self) -> None:
        settle(self.alice, self.bob)

    @rule(name=which, arriving=st.integers(0, 3))
    def cut(self, name: str, arriving: int) -> None:
        """Some of what was said arrives, and nothing of its answers."""
        client = self.clients[name]
        self.arrive(client, arriving)
        client.lose()

    @rule(name=which, arriving=st.integers(0, 3))
    def kill(self, name: str, arriving: int) -> None:
        client = self.clients[name]
        self.arrive(client, arriving)
        client.die()

    def arrive(self, client: Client, count: int) -> None:
        for _ in range(count):
            if client.line is not None and client.line.up:
                self.server.hear(client.line)

    # What the applications do.

    @rule(name=which)
    def send(self, name: str) -> None:
        message = f"{name} {len(self.sent[name])}".encode()
        if self.clients[name].happen(ev.SendMessage(message)) is not None:
            self.sent[name].append(message)

    # What must be true all the time.

    @invariant()
    def messages_arrive_once_and_in_order(self) -> None:
        for name in self.clients:
            got = self.peer_of(name).messages
            assert got == self.sent[name][: len(got)]

    @invariant()
    def nothing_leaves_before_the_key_is_confirmed(self) -> None:
        for side, frame in self.server.log:
            if frame["type"] == "add" and frame["phase"] not in ("pake", "version"):
                [client] = [c for c in self.clients.values() if c.exchange.side == side]
                assert client.exchange.key.state == "confirmed"

    @invariant()
    def everything_is_told_in_order(self) -> None:
        for client in self.clients.values():
            kinds = [type(each) for each in client.told if not isinstance(each, out.GotWelcome)]
            once = [kind for kind in kinds if kind is not out.GotMessage]
            order = [
                out.GotCode,
                out.GotUnverifiedKey,
                out.GotVerifier,
                out.GotVersions,
                out.Closed,
            ]
            assert once == [kind for kind in order if kind in once]


class HappyPair(Pair):
    """Neither hangs up before everything has arrived."""

    @initialize(set_code=st.booleans(), count=begun)
    def begin(self, set_code: bool, count: int) -> None:
        self.alice.happen(ev.SetCode("7-a-b") if set_code else ev.AllocateCode(2))
        self.meet(count)

    @rule()
    @precondition(lambda self: self.alice.code and not self.bob.code)
    def pass_the_code_on(self) -> None:
        self.give_bob_the_code()

    def teardown(self) -> None:
        clients = (self.alice, self.bob)
        for _ in range(2):
            for client in clients:
                if client.line is None:
                    client.connect()
            settle(*clients)
            self.give_bob_the_code()
            settle(*clients)
        self.messages_arrive_once_and_in_order()
        for name in self.clients:
            assert self.peer_of(name).messages == self.sent[name]
        for client in clients:
            client.happen(ev.Close())
        run_to_the_end(*clients)
        for client in clients:
            assert client.ending == out.Closed("happy", "", "")
        assert not self.server.nameplates and not self.server.mailboxes
        self.everything_is_told_in_order()
        self.nothing_leaves_before_the_key_is_confirmed()
        super().teardown()


class HastyPair(Pair):
    """Either may close at any time."""

    @initialize(set_code=st.booleans(), count=begun)
    def begin(self, set_code: bool, count: int) -> None:
        self.alice.happen(ev.SetCode("7-a-b") if set_code else ev.AllocateCode(2))
        self.meet(count)

    @rule()
    @precondition(lambda self: self.alice.code and not self.bob.code)
    def pass_the_code_on(self) -> None:
        self.give_bob_the_code()

    @rule(name=which)
    def close(self, name: str) -> None:
        self.clients[name].happen(ev.Close())

    @rule(name=which, arriving=st.integers(0, 3))
    def send_and_close_and_lose_it(self, name: str, arriving: int) -> None:
        self.send(name)
        self.close(name)
        self.cut(name, arriving)

    def teardown(self) -> None:
        clients = (self.alice, self.bob)
        for client in clients:
            if client.line is None and not client.exchange.ended:
                client.connect()
        settle(*clients)
        happily = [c for c in clients if c.exchange.lifecycle.data.mood == "happy"]
        for closer in happily:
            # Whoever closed well is heard to the end by a peer that listens.
            [name] = [name for name, client in self.clients.items() if client is closer]
            if self.peer_of(name).exchange.well:
                assert self.peer_of(name).messages == self.sent[name]
        for client in clients:
            client.happen(ev.Close())
        run_to_the_end(*clients)
        for client in clients:
            assert client.ending.error in ("", "LonelyError")
        assert not self.server.nameplates and not self.server.mailboxes
        self.everything_is_told_in_order()
        super().teardown()


class WrongCode(Pair):
    """One of the two has mistyped."""

    @initialize(count=begun)
    def begin(self, count: int) -> None:
        self.alice.happen(ev.SetCode("7-guitarist-revenge"))
        self.bob.happen(ev.SetCode("7-guitarist-revenue"))
        self.meet(count)

    def teardown(self) -> None:
        clients = (self.alice, self.bob)
        run_to_the_end(*clients)
        for client in clients:
            assert client.ending == out.Closed("scary", "WrongPasswordError", "")
            assert not any(isinstance(each, out.GotVerifier) for each in client.told)
            self.peer_could_learn_of_it(client)
        phases = {frame["phase"] for _, frame in self.server.log if frame["type"] == "add"}
        assert phases == {"pake", "version"}
        assert not self.server.nameplates and not self.server.mailboxes
        super().teardown()

    def peer_could_learn_of_it(self, client: Client) -> None:
        """Our version message, which cannot be decrypted there, lay in the mailbox first."""
        said = [frame for side, frame in self.server.log if side == client.exchange.side]
        at = next(n for n, frame in enumerate(said) if frame["type"] == "close")
        assert [frame["mood"] for frame in said if frame["type"] == "close"][-1] == "scary"
        assert "version" in {frame["phase"] for frame in said[:at] if frame["type"] == "add"}


def unfilled(client: Client) -> bool:
    """Whether it knows its mailbox, and has not seen anything of its own there."""
    sent = client.exchange.outbox.data.sent
    return client.exchange.nameplate.state == "claimed" and not any(each.echoed for each in sent)


class ForgetfulServer(Pair):
    """The server loses everything now and then; strangers come and take our nameplate."""

    def __init__(self) -> None:
        super().__init__()
        self.barred: set[tuple[str, str]] = set()
        """Side and nameplate: who must not go there."""
        self.parted = False
        """Whether the server forgot when one side had met the other, and not the other way round,
        or, in a short absence, when one had a mailbox and nothing in it, so that the other's new
        claim looks like its own: nobody can know this, and they will look for each other in two
        mailboxes."""

    @initialize(set_code=st.booleans(), count=begun)
    def begin(self, set_code: bool, count: int) -> None:
        self.alice.happen(ev.SetCode("7-a-b") if set_code else ev.AllocateCode(2))
        self.meet(count)

    @rule()
    @precondition(lambda self: self.alice.code and not self.bob.code)
    def pass_the_code_on(self) -> None:
        self.give_bob_the_code()

    @rule(long=st.booleans(), taken=st.booleans(), killed=st.booleans())
    def forget(self, long: bool, taken: bool, killed: bool) -> None:
        clients = tuple(self.clients.values())
        met = {c.exchange.nameplate.state in ("releasing", "released") for c in clients}
        self.parted = self.parted or len(met) == 2 or (not long and any(map(unfilled, clients)))
        self.server.forget()
        for client in clients:
            if killed:
                client.die()
            else:
                client.lose()
            # A short absence and a lost claim: then a stranger's is not told from our own.
            client.away = client.away or long
        number = self.alice.exchange.nameplate.data.nameplate
        if not (taken and long and number):
            return
        self.server.take(number)
        for client in clients:
            exchange = client.exchange
            if exchange.code.data.allocated or exchange.nameplate.state not in (
                *("none", "wanted", "claiming"),
            ):
                self.barred.add((exchange.side, number))

    @invariant()
    def nobody_enters_what_may_be_a_strangers(self) -> None:
        for number, nameplate in self.server.nameplates.items():
            if STRANGER in nameplate.claims:
                there = nameplate.claims | self.server.mailboxes[nameplate.mailbox].sides
                assert not [side for side in there if (side, number) in self.barred]

    @invariant()
    def ours_is_byte_for_byte_the_same(self) -> None:
        bodies: dict[tuple[str, str], str] = {}
        for side, frame in self.server.log:
            if frame["type"] == "add":
                assert bodies.setdefault((side, frame["phase"]), frame["body"]) == frame["body"]

    def teardown(self) -> None:
        clients = (self.alice, self.bob)
        for _ in range(3):
            self.give_bob_the_code()
            for client in clients:
                if client.line is None and not client.exchange.ended:
                    client.connect()
            settle(*clients)
        self.nobody_enters_what_may_be_a_strangers()
        self.ours_is_byte_for_byte_the_same()
        self.messages_arrive_once_and_in_order()
        lost = [client for client in clients if client.exchange.ended]
        stranger = any(STRANGER in each.claims for each in self.server.nameplates.values())
        # Who enters a code goes where it leads; with a stranger there, the last is one too many.
        crowded = any(len(each.sides) > 2 for each in self.server.mailboxes.values())
        assert stranger or not crowded
        reasons = {"CodeLostError", "CrowdedError"} if crowded else {"CodeLostError"}
        assert {client.ending.error for client in lost} <= reasons
        if not lost and not stranger and not self.parted:
            for name in self.clients:
                assert self.peer_of(name).messages == self.sent[name], "collected"
        for client in clients:
            client.happen(ev.Close())
        run_to_the_end(*clients)
        ours = {client.exchange.side for client in clients}
        for nameplate in self.server.nameplates.values():
            assert ours.isdisjoint(nameplate.claims)
        for box in () if crowded else self.server.mailboxes.values():
            # Where others stay, a stranger or one who came too early, it goes when they go.
            assert ours & {side for side, _, _ in box.messages} <= box.closed
        self.everything_is_told_in_order()
        super().teardown()


TestHappyPair = HappyPair.TestCase
TestHastyPair = HastyPair.TestCase
TestWrongCode = WrongCode.TestCase
TestHappyPair.settings = TestHastyPair.settings = RUN
TestWrongCode.settings = settings(RUN, max_examples=15)
TestForgetfulServer = ForgetfulServer.TestCase
TestForgetfulServer.settings = settings(RUN, max_examples=40)
