"""A mailbox server that watches (docs/watching.md): what goes wrong with that, and what must hold.

A flow that is watched is a row here and a row at the server, and nobody looks at it. So both rows
are compared after every commit: either the server has a watch, with whatever was not heard among
what it will tell; or the next connection to it will show that it has none.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from holdfast.testing.server.tables import Tables
from holdfast.testing.server.watching import Watches
from tests.simulation.process import Life
from tests.simulation.rows import named

if TYPE_CHECKING:
    from tests.simulation.invariants import Flow
    from tests.simulation.network import Socket
    from tests.simulation.world import World

ARRIVED = '"type": "holdfast-arrived"'

ROWS = """
SELECT id, owner, epoch, finished_at, wake_at, watch, watch_revision FROM holdfast_flows
"""

OFFERS = 0.15
"""The share of worlds in which the server offers it."""

TASKS = "SELECT id FROM holdfast_tasks WHERE flow_id = ? AND number > 0"

WATCHED = {"watching": 1.0}
"""The trouble of worlds in which it always does."""

FEW = 2
"""As many as a server watches that watches only some."""


@frozen
class Place:
    """Where a flow waits, by its last checkpoint, and what it has heard there."""

    appid: str
    mailbox: str
    side: str
    heard: frozenset[str]
    """The phases of other sides that it knows."""

    @classmethod
    def of(cls, exchange: Any) -> Place:
        key, inbox = exchange["key"], exchange["inbox"]["data"]
        heard = {str(number) for number in range(inbox["next"])} | set(inbox["early"])
        heard |= {waiting["phase"] for waiting in inbox["locked"]}
        heard |= {"version"} if inbox["versions"] else set()
        if key["data"]["theirs"] or key["state"] not in ("fresh", "started"):
            heard.add("pake")
        mailbox = exchange["mailbox"]["data"]["mailbox"]
        return cls(exchange["appid"], mailbox, exchange["side"], frozenset(heard))

    def has_news(self, tables: Tables) -> bool:
        """Whether there is something on the server that it does not know."""
        there = tables.messages.get(self.mailbox, ())
        return any(m.side != self.side and str(m.phase) not in self.heard for m in there)


@define(eq=False, repr=False)
class Watching:
    """What a world has to do with watching."""

    world: World
    offered: int
    """How many mailboxes a watcher may watch while that is offered; 0 if it never is."""
    places: dict[str, Place] = field(factory=dict)
    """By the name of the flow."""
    names: set[str] = field(factory=set, repr=False)
    """Of all watchers, which are secret."""
    count: int = 0
    """How often a flow was left to be watched."""
    _moment: int = 0
    """Counts commits, and what the server tells."""
    _marked: dict[int, int] = field(factory=dict)
    """Since when each flow can be found by an arrival."""
    _marked_in: dict[int, int] = field(factory=dict)
    """In which epoch each could last be found."""
    _at_start: list[Callable[[], object]] = field(factory=list)
    """What happens to the server's disk while it is down."""
    _backup: tuple[Watches, dict[str, int]] | None = None
    """Of an earlier moment, with the numbers of messages in the mailboxes."""

    @classmethod
    def draw(cls, world: World) -> Watching:
        """Choose whether the server offers it; in most worlds it does not."""
        own = Random(f"{world.seed} extension")
        offers = own.random() > 1 - world.trouble.get("watching", OFFERS)
        watching = cls(world, own.choice((1000, 1000, FEW)) if offers else 0)
        if watching.offered:
            world.faults.draw_for_watching()
        return watching

    def late(self) -> float:
        """Seconds more until people come, so that they find a flow that is watched."""
        return self.world.kernel.between(0, 60) if self.offered else 0.0

    # The database.

    def moved(self, flow: Flow, exchange: Any) -> None:
        """A flow has another checkpoint."""
        if self.offered:
            self.places[flow.name] = Place.of(exchange)

    def committed(self) -> None:
        """Somebody has committed something, and the watch has seen it."""
        if not self.offered:
            return
        self._moment += 1
        for row in named(self.world.storage.raw.execute(ROWS)):
            number, flow = row["id"], self.world.watch.flows[row["id"]]
            if row["watch"] is None:
                self._marked.pop(number, None)
            else:
                self._marked.setdefault(number, self._moment)
                self._marked_in[number] = row["epoch"]
            alone = row["owner"] is None and row["finished_at"] is None
            is_watched = alone and row["wake_at"] is not None and row["wake_at"] < 0
            if is_watched and not flow.watched:
                self.count += 1
                self.world.count("flow watched")
                self.world.say(flow.name, "is watched")
            flow.watched = is_watched
            if is_watched:
                self._check(number, flow, row["watch_revision"])

    def _check(self, number: int, flow: Flow, revision: int) -> None:
        """Nobody looks at this flow: is it in time if somebody comes?"""
        world, server = self.world, self.world.server
        for socket in world.network.sockets:
            life = socket.process
            if not isinstance(life, Life) or socket.note is None or socket.stage != "open":
                continue
            side = world.watch.sides.get(socket.note.side)
            if side is not None and side.flow is flow and life.worker == flow.taker:
                world.violate(f"{flow.name} is watched, and {life.name} has a connection for it")
        if flow.status == "closing" or world.storage.raw.execute(TASKS, (number,)).fetchall():
            world.violate(f"{flow.name} is left to the server, and has something to do")
        place, watches = self.places[flow.name], server.service.tables.watches
        ours = [each for each in watches.watchers.values() if each.app == place.appid]
        if len(ours) > 1:
            world.violate("workers of one database are several watchers")
        if not server.watched or revision > max((each.revision for each in ours), default=0):
            return  # it is found out at the next connection
        key = place.mailbox, place.side
        if key not in watches.watched:
            world.violate(f"{flow.name} is left to the server, which does not watch for it")
        elif place.has_news(server.service.tables) and key not in watches.arrivals.values():
            world.violate(f"{flow.name} has not heard everything, and will not be told")

    # The wires.

    def answers(self, socket: Socket, text: str) -> None:
        """The server gives a text to a wire."""
        if not self.offered or socket.note is None or ARRIVED not in text:
            return
        self._moment += 1
        for number, *key in json.loads(text)["arrivals"]:
            socket.note.told.setdefault(number, (tuple(key), self._moment))
        self.world.faults.arrives(socket, text)

    def sends(self, socket: Socket, frame: Any) -> None:
        """A process of ours says something of watching."""
        match frame["type"]:
            case "holdfast-watcher":
                self.names.add(frame["watcher"])
            case "holdfast-watch":
                for _, side, _ in frame["mailboxes"]:
                    self._check_marked(socket, side)
            case "holdfast-acknowledge":
                for number in frame["arrivals"]:
                    self._check_durable(socket, number)

    def _check_marked(self, socket: Socket, name: str) -> None:
        """Whoever comes from now on must be able to find the flow."""
        side = self.world.watch.sides.get(name)
        if side is None:
            self.world.violate("a side is to be watched that is not in the database")
            return
        number = self._number(side.flow)
        if self._marked_in.get(number) != side.flow.epoch:
            self.world.violate(f"{side.flow.name} is to be watched, and cannot be found")
        self.world.watch.check_owner(socket.process, side)

    def _check_durable(self, socket: Socket, number: int) -> None:
        """What is acknowledged is not told again."""
        if number not in socket.note.told:
            self.world.violate("an arrival is acknowledged that was not told on this connection")
            return
        (_, name), told = socket.note.told[number]
        side = self.world.watch.sides.get(name)
        if side is not None and self._marked.get(self._number(side.flow), told) < told:
            self.world.violate(f"an arrival for {side.flow.name} is acknowledged and not durable")

    def _number(self, flow: Flow) -> int:
        return next(n for n, each in self.world.watch.flows.items() if each is flow)

    # What happens to the server while it is down.

    def at_start(self, change: Callable[[], object]) -> None:
        """Have something done to the server's disk before it starts again."""
        self._at_start.append(change)

    def starts(self) -> None:
        """The server is about to start."""
        changes, self._at_start = self._at_start, []
        for change in changes:
            change()

    def forget(self) -> None:
        """The server has forgotten all watchers."""
        self.world.say("server", "has forgotten who watches")
        self.world.server.service.tables.watches = Watches()

    def change_offer(self) -> None:
        """The server stops to offer watching, or begins to."""
        server = self.world.server
        server.watched = 0 if server.watched else self.offered
        self.world.say("server", f"offers to watch {server.watched}")

    def back_up(self) -> None:
        """Keep what the server has of watching."""
        self.world.say("server", "is backed up")
        self._backup = copy.deepcopy(self._watches), self._messages()

    def restore(self) -> None:
        """Return to the backup; whoever is there has added what the mailboxes lack by then.

        If something was added since, that is an arrival then, as it is for a server which was
        restored with everything.
        """
        if self._backup is None:
            return
        self.world.say("server", "is restored from its backup")
        watches, before = copy.deepcopy(self._backup)
        tables, now = self.world.server.service.tables, self._messages()
        for key in tuple(watches.watched):
            mailbox, side = key
            row = tables.mailboxes.get(mailbox)
            if row is not None and side not in row.sides:
                watches.note(key)  # forgotten since, and made anew by the peer
            elif row is not None and not row.sides[side]:
                watches.end(key)
            elif now.get(mailbox) != before.get(mailbox):  # it may have been forgotten since
                watches.note(key)
        tables.watches = watches

    @property
    def has_backup(self) -> bool:
        return self._backup is not None

    @property
    def _watches(self) -> Watches:
        return self.world.server.service.tables.watches

    def _messages(self) -> dict[str, int]:
        tables = self.world.server.service.tables
        return {name: len(tables.messages.get(name, ())) for name in tables.mailboxes}

    # The end.

    def left_alone(self) -> list[str]:
        """Flows for which nobody does anything; none, once all has been well for long."""
        found = []
        for flow in self.world.watch.flows.values():
            if not flow.watched:
                continue
            place = self.places[flow.name]
            key = place.mailbox, place.side
            if not self.world.server.watched or key not in self._watches.watched:
                found.append(f"{flow.name} is neither watched nor visited")
            elif key in self._watches.arrivals.values():
                found.append(f"{flow.name} was not told what has come for it")
        return found

    def check_end(self, ours: set[str]) -> None:
        """Of these sides, which are over, nothing is watched any more."""
        for _, name in self._watches.watched:
            if name in ours and self.world.watch.sides[name].opened:
                self.world.violate(f"{self.world.trace.called(name)} is over, and still watched")


def told_twice(socket: Socket, text: str) -> None:
    """The same comes again on the same connection."""
    kernel = socket.network.kernel
    kernel.after(kernel.between(0, 2), partial(socket.down.put, text))
