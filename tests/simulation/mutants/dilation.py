"""Mutants of dilated wormholes: what leaves too early, and what is forgotten or said again."""

from __future__ import annotations

from typing import Any

from holdfast.dilation import document
from holdfast.dilation.connecting import Connecting
from holdfast.dilation.control import Please, Reconnect
from holdfast.dilation.driver import Dilation
from holdfast.dilation.generations import Say
from holdfast.dilation.ledger import Planned
from holdfast.dilation.manager import Manager
from holdfast.dilation.sending import Sending
from tests.simulation.dilation.running import run
from tests.simulation.mutants.mutant import Patches, mutant


@mutant(
    "a record is acknowledged before its effect is durable",
    "a peer forgets what a crash has lost",
    peers=("one way in",),
    live=run,
)
def acknowledged_before_durable(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def mark(self: Any) -> Any:
            marked = real(self)
            self._traffic.sending.committed(-1, marked.in_)
            return marked

        return mark

    patches.wrap(Dilation, "mark", make)


@mutant(
    "numbers that were not acknowledged are used again after a restart",
    "a peer drops what comes under them, and notices nothing",
    trouble={"death": 10.0},
    live=run,
)
def number_reused(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def load(saved: Any) -> Any:
            ledger = real(saved)
            ledger.next_out = ledger.acked + 1
            ledger._kept.clear()
            return ledger

        return load

    patches.wrap(document, "_load_ledger", make)


@mutant(
    "the number of the record that came last is forgotten by a restart",
    "it is taken twice; or the peer, which knows that it was taken, never sends it again",
    trouble={"death": 10.0},
    peers=("one way in",),
    live=run,
)
def last_number_forgotten(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def load(saved: Any) -> Any:
            ledger = real(saved)
            ledger.highest_in = max(-1, ledger.highest_in - 1)
            return ledger

        return load

    patches.wrap(document, "_load_ledger", make)


@mutant(
    "a connection of an older generation is accepted",
    "the other end waits on a newer one, for ever",
    trouble={"line cut behind bytes": 0.1, "slowest": 3.0},
    kinds=("stock leads",),
    within=60,
    live=run,
)
def old_connection_accepted(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def drop(self: Any) -> None:
            self._connecting._contest = None  # it goes on, and what it finds is taken
            real(self)

        return drop

    patches.wrap(Dilation, "_drop", make)


@mutant(
    "records leave before their plan is committed",
    "after a crash others have their numbers",
    peers=("planned", "one way out"),
    live=run,
)
def sent_before_plan(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def send(self: Any) -> None:
            for record in self._ledger.outgoing(self._durable):
                if not isinstance(record, Planned):
                    break
                self._durable = record.seq
            real(self)

        return send

    patches.wrap(Sending, "send", make)


@mutant(
    "`please` is said again after a restart",
    "it ends a stock peer's wormhole",
    trouble={"death": 10.0},
    live=run,
)
def please_again(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def resumed(self: Any, now: float) -> Any:
            effects = real(self, now)
            return effects if self.leader is None else (*effects, Say(Please(self.data.side)))

        return resumed

    patches.wrap(Manager, "resumed", make)


@mutant(
    "`reconnect` is said again after a restart, though it is not answered",
    "it ends a stock peer's wormhole",
    trouble={"death": 30.0, "slow network": 10.0},
    kinds=("stock follows",),
    within=60,
    live=run,
)
def reconnect_again(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def resumed(self: Any, now: float) -> Any:
            again = self.state == "flushing"
            return (*real(self, now), Say(Reconnect())) if again else real(self, now)

        return resumed

    patches.wrap(Manager, "resumed", make)


@mutant(
    "hints are told once, and dialled once",
    "a stock peer whose dials have failed waits for ever",
    trouble={"line cut behind bytes": 0.3},
    kinds=("stock leads",),
    within=60,
    live=run,
)
def hints_told_once(patches: Patches) -> None:
    patches.wrap(Connecting, "_try_again", lambda real: lambda self: None)
