"""A world: a journal, processes that share it, a mailbox server, people, and what goes wrong."""

from __future__ import annotations

import os
import random as chance
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher

from holdfast.flows.base import Flow as AnyFlow
from holdfast.flows.document import new_flow
from holdfast.flows.engine import looking, taking
from holdfast.flows.engine.runner import FlowRunner
from holdfast.flows.shipped.coding import Coded, Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.flows.shipped.receive import ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.shipped.transferring import Ways
from holdfast.flows.shipped.verifying import SendTextVerified
from holdfast.flows.tasks import Call, TaskFailed
from holdfast.shell import alive
from holdfast.testing import MailboxServer
from holdfast.transfer import text
from holdfast_journal import SqlJournal
from holdfast_journal.commits import writing
from holdfast_journal.errors import JournalError
from holdfast_journal.ownership import assembly, held, lookout
from holdfast_journal.upkeep import opening
from holdfast_journal.workers import registration, renewing
from tests.simulation import stock as stock  # people may have such clients
from tests.simulation import storage, threads
from tests.simulation.disk import Disk
from tests.simulation.faults import Swarm
from tests.simulation.flows import Chat, Mint, TakeIn, Timer, Told, somebody_compares
from tests.simulation.invariants import Flow, Watch
from tests.simulation.kernel import Died, Kernel
from tests.simulation.lines import Lines
from tests.simulation.network import Network, Socket
from tests.simulation.peers import CLEAN, PLANS, URL, Person, Stranger, repeat
from tests.simulation.process import Life
from tests.simulation.trace import Trace
from tests.simulation.transfers import KINDS as TRANSFERS
from tests.simulation.transfers import Transfers
from tests.simulation.watching import Watching

BATCH = "batch"

FLOWS = ("provision", "provision", "mint", "mint", "chat", "timer")

OURS = "192.0.2.1"
"""Where our processes are, one after the other."""

MORNING = 1_700_000_000.0
"""What the wall clock shows in the beginning."""


class Violation(AssertionError):
    """Something does not hold that must."""


@define(eq=False, repr=False)
class Outside:
    """What tasks talk to: it does a thing once for each key, and may not say that it did."""

    world: World
    done: dict[str, str] = field(factory=dict)
    stored: dict[str, str] = field(factory=dict)
    heard: list[str] = field(factory=list)
    """What flows have told, in order, each once."""
    compared: set[str] = field(factory=set)
    """The flows whose verifiers somebody has found to be the same."""
    failure: float = 0.0

    def fails(self) -> bool:
        return self.world.faults.active and self.world.random.random() < self.failure

    def touch(self, call: Call, *, in_thread: bool = False) -> None:
        self.world.say("outside", f"is asked under the key {call.key[:6]}")
        self.world.watch.task(call.reactor.process, call.key, in_thread=in_thread)
        if self.world.faults.dies_inside():
            self.world.note("died inside a try")
            self.world.watch.spent(call.key)
            call.reactor.process.die()

    def hear(self, call: Call) -> Deferred[None]:
        what = call.arguments["what"]
        self.world.say("outside", f"is told {what} under the key {call.key[:6]}")
        self.world.watch.tells(call.key, what)
        if self.fails():
            raise TaskFailed("the outside world says 500")
        if what not in self.heard:
            self.heard.append(what)
        answer: Deferred[None] = Deferred()
        if not self.fails():
            call.reactor.callLater(self.world.kernel.between(0, 5), answer.callback, None)
        return answer

    def compare(self, call: Call) -> Deferred[bool]:
        self.touch(call)
        if self.fails():
            self.world.watch.spent(call.key)
            raise TaskFailed("nobody looks")
        self.done[call.key] = call.arguments["verifier"]
        self.compared.add(self.world.watch.tasks[call.key].name)
        answer: Deferred[bool] = Deferred()
        if not self.fails():
            call.reactor.callLater(self.world.kernel.between(0, 5), answer.callback, True)
        return answer

    def ask(self, call: Call, result: str) -> Deferred[str]:
        self.touch(call)
        answer: Deferred[str] = Deferred()
        if self.fails():
            self.world.count("task failed")
            self.world.faults.stand_still("pause behind a task", call.reactor.process, 3.0)
            self.world.watch.spent(call.key)
            raise TaskFailed("the outside world says no")
        self.done[call.key] = result
        if self.fails():
            self.world.count("task without an answer")
            return answer
        call.reactor.callLater(self.world.kernel.between(0, 5), answer.callback, result)
        return answer


@define(eq=False, repr=False)
class World:
    """Everything that there is under one seed."""

    seed: int
    trouble: Mapping[str, float] = field(factory=dict)
    """What goes wrong besides what the seed draws, and how often; and for how many "seconds"."""
    kinds: Sequence[str] = FLOWS
    """Flows to choose from."""
    peers: Sequence[str] = ()
    """What people do, instead of what the seed draws."""
    random: Random = field(init=False)
    kernel: Kernel = field(init=False)
    trace: Trace = field(factory=Trace, init=False)
    watch: Watch = field(init=False)
    faults: Swarm = field(init=False)
    watching: Watching = field(init=False)
    storage: storage.Storage = field(init=False)
    server: MailboxServer = field(init=False)
    network: Network = field(init=False)
    lines: Lines = field(init=False)
    transfers: Transfers = field(init=False)
    disk: Disk = field(init=False)
    outside: Outside = field(init=False)
    operator: SqlJournal = field(init=False)
    lives: list[Life] = field(factory=list)
    people: list[Person] = field(factory=list)
    people_by_side: dict[str, Person] = field(factory=dict)
    strangers: set[str] = field(factory=set)
    stranger_count: int = 0
    counts: Counter[str] = field(factory=Counter)
    notes: set[str] = field(factory=set)
    """What happened that excuses other endings than the best."""
    offset: float = MORNING
    numbers: int = 0
    addresses: int = 1
    plans: dict[str, str] = field(factory=dict)
    secrets: dict[str, str] = field(factory=dict, repr=False)
    guesses: dict[str, int] = field(factory=dict)
    """How many wrong guesses end a flow."""
    violations: list[str] = field(factory=list)
    unhandled: list[str] = field(factory=list)
    """Tracebacks of failures that nobody heard of."""
    holders: dict[int, Any] = field(factory=dict)
    connections: int = 100
    coming: set[str] = field(factory=set)
    """Flows that a flow of ours is going to meet."""
    giving_up: bool = False

    def __attrs_post_init__(self) -> None:
        self.random = Random(self.seed)
        self.kernel = Kernel(self.random)
        self.watch = Watch(self)
        self.faults = self._trouble()
        if set(self.kinds) & set(TRANSFERS):
            self.faults.draw_for_lines()
        self.watching = Watching.draw(self)
        self.faults.rates.update(self.trouble)
        self.storage = storage.Storage.begin(
            self.kernel, self.faults, self.watch.committed, counts=self.seed % 2 == 0
        )
        self.server = MailboxServer(self.seconds, self.random, watched=self.watching.offered)
        self.network = Network(self.kernel, self.server, self.watch)
        self.transfers = Transfers(self)
        self.lines = Lines(self.kernel, self.transfers)
        self.disk = Disk(self)
        self.outside = Outside(self)

    def _trouble(self) -> Swarm:
        return Swarm.draw(self)

    # Time, chance, and what is told.

    def seconds(self) -> float:
        return self.kernel.now

    def wall(self) -> float:
        """The clock on the wall, which may jump."""
        return self.kernel.now + self.offset

    def say(self, who: str, what: str) -> None:
        self.trace.say(self.kernel.now, who, what)

    def count(self, kind: str) -> None:
        self.counts[kind] += 1

    def note(self, what: str) -> None:
        self.notes.add(what)

    def violate(self, what: str) -> None:
        self.say("VIOLATION", what)
        self.violations.append(what)

    def new_address(self) -> str:
        """Where somebody can be reached."""
        self.addresses += 1
        return f"192.0.2.{self.addresses}"

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers

    @contextmanager
    def real(self) -> Iterator[None]:
        """Put this world in the place of the real one."""
        saved = (
            os.urandom,
            chance._urandom,  # type: ignore[attr-defined]
            looking.LOOK_EVERY,
            alive._alive,
            [
                (module, module.threading)
                for module in (held, lookout, registration, renewing, writing)
            ],
            (opening.Database, assembly.locks_for),
            taking.FlowRunner,
        )
        os.urandom = chance._urandom = self.random.randbytes  # type: ignore[attr-defined]
        looking.LOOK_EVERY = self.random.choice((3.0, 10.0, 10.0, 20.0))  # type: ignore[misc]
        if self.storage.counts:
            looking.LOOK_EVERY = min(looking.LOOK_EVERY, 2.0)  # type: ignore[misc]
        for module, _ in saved[4]:
            module.threading = threads.Threading  # type: ignore[assignment]
        opening.Database = self  # type: ignore[misc,assignment]
        assembly.locks_for = lambda _, **__: storage.Locks(self.kernel.current, self.holders)
        taking.FlowRunner = self._load  # type: ignore[misc,assignment]
        globalLogPublisher.addObserver(self._logged)
        try:
            with self.disk.watched(), self.transfers.watched(), somebody_compares():
                yield
        finally:
            globalLogPublisher.removeObserver(self._logged)
            os.urandom, chance._urandom, looking.LOOK_EVERY, alive._alive, *_ = saved  # type: ignore
            for module, real in saved[4]:
                module.threading = real
            opening.Database, assembly.locks_for = saved[5]  # type: ignore[misc]
            taking.FlowRunner = saved[6]  # type: ignore[misc]

    def open(self, url: str, **_: object) -> storage.Storage:
        """`Database.open`, for all journals of this world."""
        return self.storage.opened()

    def _load(self, taken: Any, owner: Any) -> FlowRunner:
        """Make the runner of a flow, unless this is a release that cannot."""
        if self.faults.cannot_load():
            raise ImportError("a module that this release lacks")
        return FlowRunner(taken, owner)

    def _logged(self, event: Any) -> None:
        told = event.get("log_format") or ""
        process = self.kernel.current
        if "was taken over" in told and isinstance(process, Life):
            self.watch.lets_go(process, event["name"])
        if event["log_level"].name not in ("error", "critical"):
            return
        failure = event.get("log_failure")
        if event["log_namespace"] == "twisted.internet.defer":
            # Told whenever the garbage is collected, which no seed decides; of the dead, too.
            if failure is not None and not failure.check(Died, JournalError):
                self.unhandled.append(failure.getTraceback())
            return
        if failure is not None and failure.check(Died):
            return
        if process is not None and (process.doomed or not process.alive):
            return
        if told.startswith("flow {name}") and self.excused("refused"):
            return
        left = told.startswith("flow {name} {reason}; it is left")
        # A jump makes everybody seem dead at once, and workers take back what they still run.
        if left and (self.faults.bad_release or self.excused("jumped")):
            return
        if "start it again" in told:
            return
        told = formatEvent(event)
        if failure is not None:
            told += (
                f" {failure.type.__name__}: {failure.getErrorMessage()}\n{failure.getTraceback()}"
            )
        self.violate(f"logged: {told}")

    def excused(self, *notes: str) -> bool:
        return any(note in self.notes for note in notes)

    # Processes.

    def new_life(self) -> Life:
        life = Life(
            f"w{self.next_number()}",
            self.kernel,
            world=self,
            address=OURS,
            connections=self.connections,
        )
        self.lives.append(life)
        self.kernel.after(0, life.begin, life)
        return life

    def buried(self, life: Life) -> None:
        self.lives.remove(life)
        self.transfers.dies()
        self.kernel.after(self.kernel.between(0.05, 10), self._begin_again)

    def _begin_again(self) -> None:
        well = any(not life.paused and not life.stuck for life in self.lives)
        if not well and not self.closing:
            self.new_life()

    closing: bool = False

    def check_stop(self, result: object) -> None:
        if result is not None:
            self.violate(f"stopping failed: {result!r}")

    def check_failure(self, failure: Any) -> None:
        if not failure.check(JournalError):
            self.violate(f"the engine failed: {failure.getTraceback()}")

    # The server.

    def restart_server(self, away: float, forget: bool = False) -> None:
        self.say("server", f"goes away for {away:.1f} s" + (" and forgets all" if forget else ""))
        self.server.stop()
        self.kernel.after(away, partial(self._server_back, forget))

    def _server_back(self, forget: bool = False) -> None:
        if not self.server.running:
            self.say("server", "is back")
            self.watching.starts()
            self.server.start(forget=forget)

    def sides_of(self, appid: str, nameplate: str, *, released: bool = False) -> set[str]:
        """Who holds a nameplate of an application, or has `released` it to others."""
        row = self.server.service.tables.nameplates.get((appid, nameplate))
        sides = {} if row is None else row.sides
        return {side for side, holds in sides.items() if holds or released}

    def holds(self, side: str, mailbox: str) -> bool:
        """Whether *side* is still on a nameplate that leads to *mailbox*."""
        rows = self.server.tables().nameplates.values()
        return any(row.mailbox == mailbox and row.sides.get(side) for row in rows)

    # Flows and people.

    def plan(self) -> None:
        """Decide what is to be done, and by whom; and begin."""
        self.operator = SqlJournal.open_inline("sqlite://", keys=storage.KEYS, clock=self.wall)
        number = self.random.choice((1, 1, 1, 2, 2, 3, 6))
        if number > 2 and self.random.random() < 0.7:
            self.connections = self.random.choice((2, 3))
        self.outside.failure = self.random.choice((0.0, 0.1, 0.4))
        self.outside.failure = self.trouble.get("task failed", self.outside.failure)
        plan = self.random.choice(PLANS) if self.random.random() < 0.5 else "honest"
        for place in range(number):
            name = ("ann", "bob", "cy", "dee", "eve", "fay")[place]
            flow = self._flow(name)
            self.plans[name] = self.random.choice(PLANS) if place % 2 else plan
            if self.peers:
                self.plans[name] = self.random.choice(self.peers)
            if flow.kind == SendFile.kind and not self.peers:
                both = self.connections > 9  # or else the other one may have to wait for ours
                self.plans[name] = self.random.choice(("takes", "ours" if both else "takes"))
            elif flow.kind == ReceiveToFile.kind:
                self.plans[name] = "gives"
            self.say("operator", f"starts {name}, {flow.kind}; peer: {self.plans[name]}")
            self._start(name, flow)
            if isinstance(flow, ReceiveToFile):
                person = Person(self, name, 1, flow.code, text.APPID, "gives")
                self.people.append(person)
                self.kernel.after(self.kernel.between(0.1, 20), person.begin)
        self.faults.begin()
        self.new_life()

    def _flow(self, name: str) -> AnyFlow:
        secret = f"the-secret-of-{name}-{self.random.getrandbits(64):x}"
        self.secrets[name] = secret
        match self.random.choice(self.kinds):
            case SendFile.kind:
                return SendFile(paths=[str(self.disk.source(name))])
            case ReceiveToFile.kind:
                out = str(self.disk.target(name, name))
                return ReceiveToFile(
                    code=f"{900 + len(self.plans)}-blue-whale", out=out, accept=True
                )
            case "mint":
                return Mint(name=name)
            case "guessed":
                coding = Coding(words=3, guesses=3)
                return Provision(name=name, secret=secret, coding=coding)
            case "told":
                return Told(secret=secret)
            case "compared":
                return SendTextVerified(secret=secret)
            case "chat":
                return Chat(name=name)
            case "timer":
                return Timer(
                    secret=secret,
                    every=self.random.choice((10.0, 200.0)),
                    times=2,
                    patience=self.random.choice((30.0, 900.0)),
                )
        return Provision(name=name, secret=secret)

    def _start(self, name: str, flow: AnyFlow) -> None:
        if isinstance(flow, Coded):
            self.guesses[name] = flow.coding.guesses
        self.operator.start_flows(BATCH, [new_flow(name, flow, relay=URL, appid=flow.appid)])

    def cancel(self, name: str) -> None:
        self.say("operator", f"cancels {name}")
        self.note(f"cancelled {name}")
        self.operator.ask(name, BATCH, "cancel")

    def retry(self, name: str) -> bool:
        try:
            self.operator.retry(name, BATCH)
        except JournalError:
            return False
        self.say("operator", f"retries {name}")
        return True

    def code_known(self, flow: Flow, code: str) -> None:
        """A flow has published its code: it gets to whom it is for."""
        if flow.kind == "sim-receive":
            return
        plan = self.plans.get(flow.name, "")
        delay = self.kernel.between(0.1, 900 if plan == "late" else 20) + self.watching.late()
        appid = text.APPID if flow.kind != "sim-chat" else "example.com/chat"
        if plan == "nobody":
            return
        if plan == "ours":
            self.coming.add(flow.name)
            self.kernel.after(delay, partial(self._take_in, flow.name, flow.attempt, code))
            return
        if plan == "crowd":
            self.note(f"crowded {flow.name}")
            nameplate = code.partition("-")[0]
            later = self.kernel.between(0, 2 * delay)
            self.kernel.after(later, partial(self.new_stranger, nameplate, appid))
        if (
            flow.kind != "sim-chat"
            and self.random.random() < 0.25
            and plan in CLEAN
            and self.connections > 9
        ):
            self.coming.add(flow.name)
            self.kernel.after(delay, partial(self._take_in, flow.name, flow.attempt, code))
            return
        person = Person(self, flow.name, flow.attempt, code, appid, plan)
        self.people.append(person)
        self.kernel.after(delay, person.begin)

    def _take_in(self, name: str, attempt: int, code: str) -> None:
        """The recipient is a flow of ours, too."""
        self.coming.discard(name)
        if self.giving_up:
            return
        self.say("operator", f"has the code of {name} and receives")
        self.note(f"taken in {name} {attempt}")
        receiver = f"{name}-in{attempt}"
        if any(f.name == name and f.kind == SendFile.kind for f in self.watch.flows.values()):
            out = str(self.disk.target(receiver, name))
            self._start(receiver, ReceiveToFile(code=code, out=out, accept=True, ways=Ways()))
        else:
            self._start(receiver, TakeIn(code=code))

    def met(self, side: str, person: Person, name: str) -> None:
        self.people_by_side[side] = person
        self.trace.name(side, name)

    def new_stranger(self, nameplate: str | None, appid: str = text.APPID) -> None:
        self.stranger_count += 1
        name = f"stranger{self.next_number()}"
        self.say(name, "comes" if nameplate is None else f"enters the nameplate {nameplate}")
        self.count("stranger in the way" if nameplate is None else "stranger crowds")
        stranger = Stranger(name, self.kernel, world=self, nameplate=nameplate, appid=appid)
        self.kernel.after(0, stranger.begin, stranger)

    def peer_sends(self, socket: Socket, body: str) -> None:
        person = getattr(socket.process, "person", None)
        if person is not None and person.plan == "repeats":
            repeat(socket, body)

    def ended(self, flow: Flow) -> None:
        """A flow has come to an end; is that true?"""
        from tests.simulation.endings import check_ending

        check_ending(self, flow)
