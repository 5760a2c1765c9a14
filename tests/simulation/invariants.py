"""What must hold, looked at from outside: from what is committed, and from what passes the wires.

`Watch` reads the database after every commit, and so knows which frames and which tasks each flow
may have released by then. Whatever a process sends is compared with that, and what the server is
about to hear with what it would not bear.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field

from holdfast.flows.shipped.verifying import SendTextVerified
from tests.simulation import rows
from tests.simulation.flows import TRIES
from tests.simulation.network import Socket
from tests.simulation.process import Life
from tests.simulation.storage import KEYS

if TYPE_CHECKING:
    from tests.simulation.world import World

ONCE = ("bind", "allocate", "claim", "open", "release", "close")
"""Frames that a server takes once from a connection."""

GUESTS = ("sim-receive", "receive")
"""Flows that enter a code which somebody else has."""

QUERY = "SELECT id, name, uid, kind, seq, epoch, owner FROM holdfast_flows"

ROW = """
SELECT attempt, status, finished_at, params, checkpoint, published, data_key
FROM holdfast_flows WHERE id = ?
"""

ENTRIES = """
SELECT id, flow_id, seq, worker, kind, said, heard, event
FROM holdfast_entries WHERE id > ? ORDER BY id
"""

ANSWERS_WITHIN = 1.0
"""Seconds in which a process notices that the database did not answer it."""

_CLAIMING = ("claiming", "claimed", "releasing", "released")
_OPEN = ("open", "closing", "closed")


@define(eq=False, repr=False)
class Flow:
    """What is committed of one flow."""

    name: str
    uid: str
    kind: str
    seq: int = -1
    epoch: int = -1
    attempt: int = 0
    status: str = "new"
    finished: bool = False
    taker: int | None = None
    """The worker that took it last: the only one that may write it, or speak for it."""
    key: bytes | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    told: set[int] = field(factory=set)
    """Attempts in which it has shown a code."""
    ended: list[tuple[int, str]] = field(factory=list)
    """(attempt, status) of every end."""
    watched: bool = False
    """Whether nobody runs it because a server watches for it."""
    guesses: Counter[int] = field(factory=Counter)
    """How many wrong guesses of each attempt the code has outlived."""


@define(eq=False, repr=False)
class Side:
    """What one side of ours may say, by what was ever committed."""

    flow: Flow
    attempt: int
    frames: set[tuple[str, str]] = field(factory=set)
    words: set[str] = field(factory=set)
    """What entries say was said, for states that were passed within one transaction."""
    opened: bool = False
    filled: bool = False
    """Whether the server has heard our first message."""
    claims: int = 0
    """How often it has claimed the nameplate without hearing an answer."""


@define(eq=False, repr=False)
class Watch:
    """The eyes of a world."""

    world: World
    flows: dict[int, Flow] = field(factory=dict)
    sides: dict[str, Side] = field(factory=dict)
    tasks: dict[str, Flow] = field(factory=dict)
    """Whose every task is that was ever committed, by its idempotency key."""
    bodies: dict[tuple[str, str], str] = field(factory=dict)
    _entry: int = 0
    owed: dict[str, str] = field(factory=dict)
    """What is still to be told, by its key."""
    _told: dict[str, str] = field(factory=dict)
    """Under which key each thing was told first."""
    _spent: Counter[tuple[str, int]] = field(factory=Counter)
    _begun: Counter[tuple[str, int]] = field(factory=Counter)
    STILL: ClassVar = 150.0
    """Seconds after which a worker that stands still cannot have its lease any more, whatever was
    under way to the database."""

    # The database.

    def committed(self) -> None:
        """Somebody has committed something."""
        raw, world = self.world.storage.raw, self.world
        for number, name, uid, kind, seq, epoch, owner in raw.execute(QUERY).fetchall():
            flow = self.flows.get(number)
            if flow is None:
                flow = self.flows[number] = Flow(name, uid, kind)
            if epoch != flow.epoch:
                if epoch < flow.epoch:
                    world.violate(f"the epoch of {name} fell")
                flow.epoch, flow.taker = epoch, owner
            if seq != flow.seq:
                if seq < flow.seq:
                    world.violate(f"the seq of {name} fell")
                flow.seq = seq
                self._moved(flow, rows.named(raw.execute(ROW, (number,)))[0])
        there = rows.named(raw.execute("SELECT * FROM holdfast_tasks"))
        for key in self.owed.keys() - {row["key"] for row in there}:
            if (what := self.owed.pop(key)) not in world.outside.heard:
                world.violate(f"{what} was never told, and is forgotten")
        for row in there:
            if row["key"] not in self.tasks:
                self.tasks[row["key"]] = self.flows[row["flow_id"]]
                rows.check_task(world, self.flows[row["flow_id"]], row)
        for row in rows.named(raw.execute("SELECT * FROM holdfast_messages")):
            rows.check_message(world, self.flows[row["flow_id"]], row)
        for row in rows.named(raw.execute(ENTRIES, (self._entry,))):
            self._entry = row["id"]
            flow = self.flows[row["flow_id"]]
            rows.check_entry(world, flow, row)
            words = json.loads(row["said"])
            world.say(flow.name, "; ".join([f"[{row['heard']}]", *words]))
            for side in self.sides.values():
                if side.flow is flow:
                    side.words.update(words)
        world.watching.committed()

    def _moved(self, flow: Flow, row: Any) -> None:
        status, flow.attempt = row["status"], row["attempt"]
        if status != flow.status:
            self.world.say(flow.name, f"is {status}")
        flow.status = status
        if (row["finished_at"] is not None) != flow.finished:
            flow.finished = not flow.finished
            if flow.finished:
                flow.ended.append((flow.attempt, status))
                self.world.ended(flow)
        if row["data_key"] is not None and flow.key is None:
            flow.key = KEYS.open_data_key(flow.uid, row["data_key"])
        rows.check_row(self.world, flow, row)
        plain = rows.open_column(self.world, flow, "checkpoint", flow.seq, row["checkpoint"])
        if not plain:
            return
        document = json.loads(plain)
        exchange = document["wormhole"]["exchange"]
        self._licence(flow, exchange)
        self.world.watching.moved(flow, exchange)
        self.world.transfers.moved(flow, document)
        code = document["published"].get("code")
        if code is not None and code != flow.code:
            flow.code = code
            flow.told.add(flow.attempt)
            self._is_good(flow, exchange)
            self.world.code_known(flow, code)

    def _is_good(self, flow: Flow, exchange: Any) -> None:
        """A code that is shown leads to us: our message was put there, or somebody has come."""
        alone = exchange["key"]["state"] in ("fresh", "started")
        if alone and not self.sides[exchange["side"]].filled:
            self.world.violate(f"{flow.name} shows a code that does not work yet")

    def _licence(self, flow: Flow, exchange: Any) -> None:
        name = exchange["side"]
        side = self.sides.get(name)
        if side is None:
            side = self.sides[name] = Side(flow, flow.attempt)
            self.world.trace.name(name, flow.name)
        frames = side.frames
        if exchange["code"]["state"] not in ("unset", "wanted"):
            frames.add(("allocate", ""))
        nameplate = exchange["nameplate"]
        if nameplate["state"] != "claiming":
            side.claims = 0
        if nameplate["state"] in _CLAIMING:
            frames.add(("claim", nameplate["data"]["nameplate"]))
        if nameplate["state"] in ("releasing", "released", "yielding", "yielded"):
            frames.add(("release", nameplate["data"]["nameplate"]))
        mailbox = exchange["mailbox"]
        if mailbox["state"] in _OPEN:
            frames.add(("open", mailbox["data"]["mailbox"]))
        if mailbox["state"] in ("closing", "closed"):
            frames.add(("close", mailbox["data"]["mailbox"]))
        for sent in exchange["outbox"]["data"]["sent"]:
            frames.add((f"add {sent['phase']}", sent["body"]))

    # The wires.

    def sends(self, socket: Socket, body: str) -> None:
        """A process gives a frame to its socket."""
        frame = json.loads(body)
        if frame["type"] == "bind":
            socket.note = Passing(frame["side"], frame["appid"])
        self.world.say(socket.process.name, f"{self._who(socket)} -> server: {_words(frame)}")
        if not isinstance(socket.process, Life):
            self.world.peer_sends(socket, body)
            return
        if socket.note is None:
            self.world.violate(f"{socket.process.name} says {frame['type']} before bind")
            return
        if self._watches(socket, frame):
            self.world.watching.sends(socket, frame)
        else:
            self._check_licence(socket, frame)
        if frame["type"] == "claim" and socket.note.side in self.sides:
            self.sides[socket.note.side].claims += 1
        self.check_owner(socket.process, self.sides.get(socket.note.side))
        self.world.faults.sends(socket)

    def _watches(self, socket: Socket, frame: Any) -> bool:
        """Whether this is said by who watches, on a connection that is for nothing else."""
        if not self.world.watching.offered or socket.note.side in self.sides:
            return False
        return frame["type"] == "bind" or frame["type"].startswith("holdfast-")

    def answers(self, socket: Socket, text: str) -> None:
        """The server is about to say something."""
        self.world.watching.answers(socket, text)

    def hears(self, socket: Socket) -> None:
        """A process takes in what the server said."""
        life = socket.process
        if not isinstance(life, Life) or life.stopping or life.waits_since is None:
            return
        if self.world.kernel.now > life.waits_since + ANSWERS_WITHIN:
            self.world.violate(f"{life.name} reads on while the database does not answer")

    def ends(self, socket: Socket, why: str) -> None:
        """A process learns that its connection is gone."""
        self.world.say(socket.process.name, f"{self._who(socket)} has lost its connection: {why}")

    def _check_licence(self, socket: Socket, frame: Any) -> None:
        side = self.sides.get(socket.note.side)
        if side is None:
            self.world.violate("a side that is not in the database speaks")
            return
        if frame["type"] == "add":
            said = self.bodies.setdefault((socket.note.side, frame["phase"]), frame["body"])
            if said != frame["body"]:
                self.world.violate(f"{side.flow.name} said two things under {frame['phase']}")
            if frame["phase"] == "0" and side.flow.kind == SendTextVerified.kind:
                self._check_compared(side.flow)
        wanted = _as_licence(frame)
        if wanted is None or wanted in side.frames:
            return
        phase = wanted[0].removeprefix("add ")
        start = phase if phase in ("pake", "version") else f"message {phase}"
        if wanted[0].startswith("add ") and any(w.startswith(start) for w in side.words):
            return
        self.world.violate(f"{side.flow.name} said what is not durable: {_words(frame)}")

    def _check_compared(self, flow: Flow) -> None:
        """A secret goes to nobody who may be somebody else."""
        if flow.name not in self.world.outside.compared:
            self.world.violate(f"{flow.name} hands over what it has, and nobody has compared")

    def check_owner(self, life: Life, side: Side | None) -> None:
        """Whoever was paused for long says nothing before it knows whose its flows are."""
        if side is None or life.worker is None or side.flow.taker is None:
            return
        # Leases go by the clock on the wall.
        if self.world.excused("jumped"):
            return
        if side.flow.taker != life.worker:
            self.world.violate(f"{life.name} speaks for {side.flow.name}, which others have taken")
        elif side.flow.watched:
            self.world.violate(f"{life.name} speaks for {side.flow.name}, which it has let go")

    def _who(self, socket: Socket) -> str:
        return self.world.trace.called(socket.note.side) if socket.note else "somebody"

    def arrives(self, socket: Socket, body: str) -> None:
        """The server is about to hear a frame."""
        try:
            frame = json.loads(body)
            kind = frame["type"]
        except (ValueError, KeyError, TypeError):
            return
        passing = socket.note
        if passing is None:
            return
        if kind == "claim":
            self._note_guests(passing, str(frame["nameplate"]))
        if passing.side not in self.sides:
            return
        if kind in ONCE:
            if kind in passing.heard:
                self.world.violate(f"{kind} came twice on one connection of {self._who(socket)}")
            passing.heard.add(kind)
        elif "bind" not in passing.heard:
            self.world.violate(f"{kind} came before bind")
        side = self.sides[passing.side]
        match kind:
            case "claim":
                self._enters(side, passing, frame["nameplate"])
            case "open":
                side.opened = True
                there = self.world.server.tables().messages.get(frame["mailbox"], ())
                passing.shown = {str(each.phase) for each in there if each.side == passing.side}
            case "close":
                # By a clock that was set forward, an absence seems too long for that.
                held = self.world.holds(passing.side, frame["mailbox"])
                if held and not self.world.excused("jumped"):
                    self.world.violate(f"{side.flow.name} closes before it has released")
                side.opened = False
            case "add":
                if "open" not in passing.heard:
                    self.world.violate(f"{side.flow.name} adds to a mailbox that is not open")
                if frame["phase"] in passing.shown:
                    text = f"{side.flow.name} adds {frame['phase']} again, which is still there"
                    self.world.violate(text)
                side.filled = True

    def _note_guests(self, passing: Passing, nameplate: str) -> None:
        """Remember which flows are visited by somebody for whom their code was not."""
        guest = passing.side
        person = self.world.people_by_side.get(guest)
        there = self.world.sides_of(passing.appid, nameplate, released=True)
        for name in sorted(there & set(self.sides)):
            side = self.sides[name]
            meant = f"{side.flow.name}-in{side.attempt}"
            if person is not None:
                right = (person.flow, person.attempt) == (side.flow.name, side.attempt)
            else:
                right = guest in self.sides and meant == self.sides[guest].flow.name
            if not right and guest != name:
                self.world.note(f"crowded {side.flow.name}")
                if guest in self.sides:
                    self.world.note(f"crowded {self.sides[guest].flow.name}")

    def _enters(self, side: Side, passing: Passing, nameplate: str) -> None:
        """Nobody goes where only strangers are."""
        there = self.world.sides_of(passing.appid, nameplate)
        if side.flow.finished and self.world.excused("jumped"):
            return  # a worker that was paused, and whose lease a jump of the clock ended early
        answered = any(kind == "open" for kind, _ in side.frames)
        if not answered and self.world.excused("forgot"):
            return  # allocated, and forgotten before we had the answer to our claim
        if side.claims > 1:
            return  # whether the claim before this one has arrived, nobody can say
        if there and passing.side not in there and side.flow.kind not in GUESTS:
            friends = {
                s
                for s, person in self.world.people_by_side.items()
                if person.flow == side.flow.name and person.attempt == side.attempt
            }
            receiver = f"{side.flow.name}-in{side.attempt}"
            friends |= {s for s, other in self.sides.items() if other.flow.name == receiver}
            if not there & friends and there & (self.world.strangers | set(self.sides)):
                self.world.violate(f"{side.flow.name} entered a stranger's nameplate")

    def task(self, life: Life, key: str, *, in_thread: bool) -> None:
        """A task is being run."""
        flow = self.tasks.get(key)
        if flow is not None:
            self._begun[key, flow.attempt] += 1
        if flow is None:
            self.world.violate("a task ran that is not durable")
        elif not in_thread and flow.taker != life.worker and not self.world.excused("jumped"):
            # A thread may be paused after it was begun, and nobody can know that.
            self.world.violate(f"{life.name} runs a task of {flow.name}, which others have taken")

    def is_tried_out(self, flow: Flow) -> bool:
        """Whether each try of one of its tasks has begun: none is left if processes died."""
        counts = [self._begun[key, flow.attempt] for key, of in self.tasks.items() if of is flow]
        return any(count >= TRIES for count in counts)

    def tells(self, key: str, what: str) -> None:
        """Something is told that outlives its flow: what is durable, and always under one key."""
        if key not in self.tasks:
            self.world.violate("something is told that is not durable")
        if self._told.setdefault(what, key) != key:
            self.world.violate("the same is told under two keys")

    def spent(self, key: str) -> None:
        """A try of a task has failed, or ends its process."""
        flow = self.tasks.get(key)
        if flow is None:
            return
        self._spent[key, flow.attempt] += 1
        if self._spent[key, flow.attempt] > TRIES:
            self.world.violate(f"a task of {flow.name} is tried more than {TRIES} times")

    def stands_still(self, life: Life) -> None:
        """The reactor of a process has not turned for long."""
        if not life.alive or not life.stuck or life.was_paused or life.worker is None:
            return
        query = "SELECT lease_until FROM holdfast_workers WHERE id = ?"
        ((until,),) = self.world.storage.raw.execute(query, (life.worker,)).fetchall()
        if until is not None and until > self.world.wall() and not self.world.excused("jumped"):
            self.world.violate(f"{life.name} stands still, and its lease is good")

    def lets_go(self, life: Life, name: str) -> None:
        """A process says that others have taken a flow."""
        for flow in self.flows.values():
            # Who took it after a jump of the clock may have given it back meanwhile.
            ours = flow.name == name and flow.taker == life.worker
            if ours and not self.world.excused("jumped"):
                self.world.violate(f"{life.name} lets go of {name}, which nobody has taken")


@define(eq=False, repr=False)
class Passing:
    """What passed on one connection."""

    side: str
    appid: str
    """Whose nameplates these are: each application has its own."""
    heard: set[str] = field(factory=set)
    shown: set[str] = field(factory=set)
    """Phases of this side's own that were in the mailbox when it was opened."""
    told: dict[int, Any] = field(factory=dict)
    """Arrivals: the mailbox and side of each, and when it was first told here."""


def _as_licence(frame: Any) -> tuple[str, str] | None:
    match frame["type"]:
        case "allocate":
            return "allocate", ""
        case "claim" | "release" as kind:
            return kind, frame["nameplate"]
        case "open" | "close" as kind:
            return kind, frame["mailbox"]
        case "add":
            return f"add {frame['phase']}", frame["body"]
    return None


def _words(frame: Any) -> str:
    match frame["type"]:
        case "add":
            return f"add {frame['phase']} ({frame['body'][:6]}..., {len(frame['body']) // 2} bytes)"
        case "claim" | "release" as kind:
            return f"{kind} {frame['nameplate']}"
        case "close":
            return f"close, {frame['mood']}"
    return str(frame["type"])
