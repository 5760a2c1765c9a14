"""One exchange from beginning to end, with a fault after every single step of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, product

import pytest

from holdfast.core import events as ev
from holdfast.core import notices as out
from tests.core.clients import Client, run_to_the_end
from tests.core.mailboxes import Server

LAST = 36
"""More steps than an exchange has."""


class Play:
    """Two clients, each taking a step in turn, and an application that reacts."""

    def __init__(self, *, wrong: bool) -> None:
        self.server = Server()
        self.clients = (Client("alice", self.server), Client("bob", self.server))
        self.wrong = wrong
        self.fault: Callable[[], None] = lambda: None
        alice, _ = self.clients
        alice.happen(ev.AllocateCode(2))

    def react(self) -> None:
        """What both applications do as soon as they can."""
        alice, bob = self.clients
        if alice.code and bob.exchange.code.state == "unset":
            bob.happen(ev.SetCode(alice.code + ("x" if self.wrong else "")))
            for client in self.clients:
                client.happen(ev.SendMessage(b"from " + client.name.encode()))
        if alice.messages and alice.exchange.well:
            # The last word, directly before the end.
            alice.happen(ev.SendMessage(b"bye"))
            alice.happen(ev.Close())
        if len(bob.messages) == 2 and bob.exchange.well:
            bob.happen(ev.Close())

    def step(self) -> None:
        """Let one text arrive up, or else one down, at each side."""
        for client in self.clients:
            if client.line is None and not client.exchange.ended:
                client.connect()
            if client.line is not None and client.line.up:
                self.server.hear(client.line)
            elif client.line is not None and client.line.down:
                client.listen()
            self.react()

    def run(self, fault_at: int, fault: Callable[[Client], None], who: int) -> None:
        """Run to the end, with one fault on the way."""
        for number in count():
            if all(client.exchange.ended for client in self.clients):
                return
            assert number < 4 * LAST, "it waits for ever"
            if number == fault_at:
                fault(self.clients[who])
            self.step()


def cut(client: Client) -> None:
    """All that was on its way is lost."""
    client.lose()


def cut_late(client: Client) -> None:
    """What was said has arrived, and its answers are lost."""
    while client.line is not None and client.line.up:
        client.server.hear(client.line)
    client.lose()


def kill(client: Client) -> None:
    """The process is gone, what it had written down is not."""
    client.die()


FAULTS = pytest.mark.parametrize(
    ("fault", "who"),
    list(product((cut, cut_late, kill), (0, 1))),
    ids=lambda value: getattr(value, "__name__", str(value)),
)


@FAULTS
def test_a_fault_after_any_step_costs_nothing(fault: Callable[[Client], None], who: int) -> None:
    """Every message arrives once and in order, both end happy, and nothing is left behind."""
    for fault_at in range(LAST):
        play = Play(wrong=False)
        play.run(fault_at, fault, who)
        alice, bob = play.clients
        assert alice.messages == [b"from bob"]
        assert bob.messages == [b"from alice", b"bye"]
        for client in play.clients:
            assert client.ending == out.Closed("happy", "", "")
        assert not play.server.nameplates and not play.server.mailboxes


@FAULTS
def test_a_wrong_code_is_learnt_by_both(fault: Callable[[Client], None], who: int) -> None:
    """Both end scared, and each has left its version message for the other before it closed."""
    for fault_at in range(LAST):
        play = Play(wrong=True)
        play.run(fault_at, fault, who)
        assert not play.server.nameplates and not play.server.mailboxes
        for client in play.clients:
            assert client.ending == out.Closed("scary", "WrongPasswordError", "")
            assert client.messages == []
            frames = [f for side, f in play.server.log if side == client.exchange.side]
            kinds = [f.get("phase", f["type"]) for f in frames]
            assert kinds.index("version") < kinds.index("close")
            assert "0" not in kinds
            moods = {f["mood"] for f in frames if f["type"] == "close"}
            assert moods == {"scary"}


def test_a_fault_in_every_stage_of_a_close_costs_nothing() -> None:
    """Close() of the lonely, then a fault after any step: nothing stays allocated."""
    for close_at, later in product(range(12), range(8)):
        server = Server()
        client = Client("alice", server)
        client.happen(ev.AllocateCode(2))
        for number in range(close_at + later):
            if number == close_at:
                client.happen(ev.Close())
            if client.line is None and not client.exchange.ended:
                client.connect()
            if client.line is not None and client.line.up:
                server.hear(client.line)
            elif client.line is not None and client.line.down:
                client.listen()
        client.happen(ev.Close())
        client.die()
        run_to_the_end(client)
        assert not server.nameplates and not server.mailboxes
        if client.told[-1:] != [out.Closed("lonely", "LonelyError", "")]:
            pytest.fail(f"closed at {close_at}, killed {later} later: {client.told}")
