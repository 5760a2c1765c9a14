"""Mutants of transfers: what leaves before it may, and what is believed too early."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from holdfast.flows.engine.beside import _Session
from holdfast.flows.shipped import opening, receiving
from holdfast.flows.shipped.carrying import Carrying
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.shipped.transferring import Reachable
from holdfast.transfer.hidden import Hidden
from holdfast.transfer.landing import Landing
from tests.simulation.mutants.mutant import Patches, mutant
from tests.simulation.transfers import KINDS


@mutant(
    "a connection is chosen before that is durable",
    "a stock client is asked for a second one, under the same keys",
    kinds=KINDS,
)
def chosen_before_commit(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def report(self: Any, what: str, value: Any) -> Any:
            durable = real(self, what, value)
            if what == "chosen" and not durable.called:
                durable.callback(None)
            return durable

        return report

    def once(real: Any) -> Any:
        def is_durable(self: Any, durable: Any) -> None:
            if not durable.called:
                real(self, durable)

        return is_durable

    patches.wrap(_Session, "report", make)
    patches.wrap(_Session, "_is_durable", once)


@mutant(
    "a peer hears of a port that is not remembered",
    "it cannot find us again after a crash",
    kinds=KINDS,
)
def port_not_durable(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def listens(self: Any, where: Any) -> Any:
            said = real(self, where)
            self.port = 0
            return said

        return listens

    patches.wrap(Reachable, "listens", make)


@mutant(
    "the keys of a connection between two Holdfasts do not depend on the connection",
    "two records are sealed under one key and nonce, which tells their difference",
    within=60,
    trouble={"line cut": 20.0, "death behind bytes on a line": 0.1},
    kinds=(SendFile.kind,),
)
def no_fresh_keys(patches: Patches) -> None:
    patches.wrap(opening.TransitKeys, "fresh", lambda real: lambda self, sender, receiver: self)


@mutant(
    "a transfer to a stock client is begun again after a crash",
    "two records are sealed under one key and nonce, or the client hangs",
    within=100,
    trouble={"slow lines": 30.0, "death behind bytes on a line": 0.3},
    kinds=(SendFile.kind,),
    peers=("takes",),
)
def stock_begun_again(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def wants(self: Any, details: Any) -> None:
            if self.wanted is None and details.stage == "going":
                self.wanted = details
                self._begin()
            else:
                real(self, details)

        return wants

    patches.wrap(Carrying, "wants", make)


@mutant(
    "a sender is told before the end of the file has a place",
    "it deletes what nobody has",
    within=60,
    trouble={"death at the disk": 0.2},
    kinds=KINDS,
)
def told_before_landed(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def receive(self: Any, wanted: Any, line: Any, landing: Any, opening: Any) -> Any:
            hasher = real(self, wanted, line, landing, opening)
            digest = hasher.hexdigest()
            receiving.pumping.send_json(opening.bulk, {"ack": "ok", "sha256": digest})
            return hasher

        return receive

    patches.wrap(receiving.Incoming, "_receive", make)


@mutant(
    "what is received goes on where the part file ends, whatever is in it",
    "a file is put together from two places",
    within=60,
    trouble={"line cut": 20.0, "death behind bytes on a line": 0.1},
    kinds=(SendFile.kind,),
)
def written_without_cutting_off(patches: Patches) -> None:
    def make(_: Any) -> Any:
        def truncate(self: Any, offset: int) -> None:
            self._position = self.size

        return truncate

    patches.wrap(Landing, "truncate", make)
    _without_digest(patches)


def _without_digest(patches: Patches) -> None:
    """What arrives is believed."""

    def make(real: Any) -> Any:
        def receive(self: Any, wanted: Any, line: Any, landing: Any, bulk: Any) -> Any:
            trusting = evolve(wanted, offer=evolve(wanted.offer, sha256=""))
            return real(self, trusting, line, landing, bulk)

        return receive

    patches.wrap(receiving.Incoming, "_receive", make)


@mutant(
    "what is kept after a failure counts as received",
    "a part of a file is taken for the file",
    within=600,
    trouble={"death at the disk": 0.3, "line cut": 10.0},
    kinds=("receive",),
)
def kept_is_received(patches: Patches) -> None:
    patches.wrap(Landing, "is_kept", lambda real: lambda self: False)


@mutant(
    "a file gets its name without a marker that says so",
    "the next process waits for a file that is there, or makes a second one",
    within=60,
    trouble={"death at the disk": 0.3},
    kinds=KINDS,
)
def placed_without_a_marker(patches: Patches) -> None:
    patches.wrap(Hidden, "mark", lambda real: lambda self, kind, name: None)
