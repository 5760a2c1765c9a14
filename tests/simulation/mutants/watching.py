"""Mutants of watching: flows that are let go too early, and arrivals of which nobody hears."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from sqlalchemy import bindparam, update
from twisted.internet.defer import succeed

from holdfast.flows.engine.runner import FlowRunner
from holdfast.flows.engine.watches import Watches
from holdfast.rendezvous.watch_frames import Wanted
from holdfast.rendezvous.watching import Confirmed
from holdfast_journal.ownership import watching
from holdfast_journal.ownership.taker import Taker
from holdfast_journal.store.schema import flows
from tests.simulation import threads
from tests.simulation.mutants.mutant import Patches, mutant
from tests.simulation.watching import WATCHED

KINDS = ("provision", "mint")


@mutant(
    "an arrival is acknowledged before it is durable",
    "a crash loses it, and whoever came waits for ever",
    trouble=WATCHED,
    kinds=KINDS,
)
def arrival_acknowledged_early(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def has_come(self: Any, line: Any, arrivals: Any, acknowledge: Any) -> None:
            real(self, line, arrivals, acknowledge)
            acknowledge()

        return has_come

    patches.wrap(Watches, "has_come", make)


@mutant(
    "a flow is parked whose watch was never confirmed",
    "nobody hears of whoever comes",
    trouble=WATCHED,
    kinds=KINDS,
)
def parked_unconfirmed(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def ask(self: Any, line: Any, some: Any, outcome: Any) -> None:
            real(self, line, some, outcome)
            self.confirmed(Confirmed(0, tuple(begun.wanted for begun in some), ()))

        return ask

    patches.wrap(Watches, "_ask", make)


@mutant(
    "a server is asked to watch for a flow that has no mark yet",
    "an arrival in between finds nobody",
    trouble=WATCHED,
    kinds=KINDS,
)
def asked_before_marked(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def begin(self: Any, line: Any, some: Any) -> None:
            real(self, line, some)
            self._ask(line, some, None)

        return begin

    patches.wrap(Watches, "_begin", make)


@mutant(
    "what a server has forgotten is not noted",
    "its flows wait for ever",
    trouble={**WATCHED, "watcher forgotten": 4.0, "backup": 4.0},
    kinds=KINDS,
    peers=("honest",),
)
def forgotten_ignored(patches: Patches) -> None:
    patches.wrap(Taker, "forgotten", lambda real: lambda self, watcher, above: 0)


@mutant(
    "flows are not visited where watching is offered no more",
    "they wait for ever",
    within=60,
    trouble={**WATCHED, "offer changes": 2.0},
    kinds=KINDS,
    peers=("honest",),
)
def not_visited_again(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def not_offered(self: Any, line: Any) -> None:
            self.cut(line)
            self._servers.pop((line.watcher.url, line.watcher.appid), None)
            line.stop()

        return not_offered

    patches.wrap(Watches, "not_offered", make)


@mutant(
    "it is not counted how many messages were heard",
    "what has come before the watch is not told",
    within=40,
    trouble={**WATCHED, "half dead": 30.0},
    kinds=KINDS,
)
def heard_not_counted(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def waits_at(self: Any) -> Any:
            wanted = real(self)
            if wanted is None:
                return None
            world: Any = threads.running_process()
            there = world.world.server.service.tables.messages.get(wanted.mailbox, ())
            return evolve(wanted, heard=sum(m.side != wanted.side for m in there))

        return waits_at

    patches.wrap(FlowRunner, "waits_at", make)


@mutant(
    "a flow is let go that has something to do",
    "it stands still half-way",
    trouble={**WATCHED, "task failed": 0.4},
    kinds=("mint",),
    peers=("honest",),
)
def let_go_at_work(patches: Patches) -> None:
    def make(real: Any) -> Any:
        def waits_at(self: Any) -> Any:
            exchange = self.wormhole.exchange
            mailbox = exchange.mailbox.data.mailbox
            if not mailbox:
                return None
            return Wanted(mailbox, exchange.side, self.wormhole.others_heard)

        return waits_at

    patches.wrap(FlowRunner, "waits_at", make)


@mutant(
    "a flow is parked although its mark is gone",
    "what has come meanwhile is not heard",
    within=60,
    trouble={**WATCHED, "slow storage": 20.0, "second runner": 60.0},
    kinds=("provision",),
    peers=("honest",),
)
def parked_without_its_mark(patches: Patches) -> None:
    parked = (
        update(flows)
        .where(flows.c.id == bindparam("flow"), flows.c.owner == bindparam("worker"))
        .values(
            owner=None,
            wake_at=bindparam("until"),
            watch_revision=bindparam("confirmed"),
        )
    )

    def make(real: Any) -> Any:
        def park(database: Any, worker: Any, wake_at: Any, revision: Any) -> None:
            rows = [
                {"flow": flow, "worker": worker, "until": -(until or 1e15), "confirmed": revision}
                for flow, until in wake_at.items()
            ]
            with database.writing() as connection:
                connection.execute(parked, rows)

        return park

    patches.wrap(watching, "park", make)


@mutant(
    "a new process does not look for what others have watched",
    "nobody hears of whoever comes after a death",
    trouble={**WATCHED, "death": 6.0},
    kinds=KINDS,
    peers=("honest",),
)
def watchers_not_looked_for(patches: Patches) -> None:
    patches.wrap(Watches, "look", lambda real: lambda self: succeed(None))
