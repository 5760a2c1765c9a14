"""Whether what became of a flow is true, and whether everything is in order in the end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from holdfast.flows.engine.replay import check_flow
from holdfast.flows.shipped.receive import ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from tests.simulation.disk import SIZE
from tests.simulation.flows import MESSAGES
from tests.simulation.invariants import GUESTS, Flow
from tests.simulation.peers import CLEAN, WRONG, Person
from tests.simulation.transfers import KINDS

if TYPE_CHECKING:
    from tests.simulation.world import World


def people_of(world: World, flow: Flow) -> list[Person]:
    """Those who were given the code of the present attempt."""
    return [p for p in world.people if p.flow == flow.name and p.attempt == flow.attempt]


def check_ending(world: World, flow: Flow) -> None:
    """Called when the end is committed."""
    people = people_of(world, flow)
    plans = {person.plan for person in people}
    name, status = flow.name, flow.status
    if status == "done":
        _check_done(world, flow, people)
    elif status == "cancelled":
        if not world.excused(f"cancelled {name}"):
            world.violate(f"{name} was cancelled, and nobody asked for that")
    elif status == "expired":
        if flow.kind != "sim-timer":
            world.violate(f"{name} expired, and has no deadline")
    elif status == "scared":
        odd = {*WRONG, "crowd", "garbage", "comes again", "vanishes"}
        if not plans & odd and not world.excused(f"crowded {name}", "forgot", "mixed"):
            world.violate(f"{name} is scared, and nobody did anything")
        left = world.guesses.get(name, 1) - 1 - flow.guesses[flow.attempt]
        if left:
            world.violate(f"{name} is scared, and has {left} guesses more")
    elif status == "failed" and flow.kind in KINDS:
        _check_failed_transfer(world, flow)
    elif status == "failed":
        odd = {*WRONG, "garbage", "says no", "crowd", "comes again"}
        known = plans & odd or world.outside.failure or world.excused("died inside a try")
        known = known or world.watch.is_tried_out(flow)
        if not known and not world.excused("refused", "forgot", f"crowded {name}"):
            world.violate(f"{name} failed, and nobody did anything")
    elif status == "code lost":
        if flow.kind not in GUESTS and flow.attempt not in flow.told:
            world.violate(f"{name} has lost a code that nobody was told")
    elif status != "crowded":
        world.violate(f"{name} ended as {status!r}")


def _check_failed_transfer(world: World, flow: Flow) -> None:
    """It says why, and that is true."""
    transfer = world.transfers.by_flow[flow.name]
    if transfer.resumes and not world.excused("refused", "forgot", f"crowded {flow.name}"):
        world.violate(f"{flow.name} failed, and could have gone on with another Holdfast")
    if flow.kind == SendFile.kind and transfer.was_chosen and not people_refuse(world, flow):
        says_all, all_sent = "everything was sent" in transfer.reason, transfer.moved >= SIZE
        if says_all != all_sent:
            world.violate(f"{flow.name} failed, and says wrongly: {transfer.reason}")
    elif flow.kind == ReceiveToFile.kind and world.disk.has_arrived(flow.name):
        world.violate(f"{flow.name} failed, and its file is there")
    elif not transfer.reason:
        world.violate(f"{flow.name} failed, and does not say why")


def people_refuse(world: World, flow: Flow) -> bool:
    """Whether the other side gave up first, and said so."""
    return "client said" in world.transfers.by_flow[flow.name].reason


def _check_done(world: World, flow: Flow, people: list[Person]) -> None:
    if flow.kind == "sim-receive":
        return
    if flow.kind == ReceiveToFile.kind:
        world.transfers.is_there(flow.name)
        return
    if flow.kind == SendFile.kind and not people:
        world.transfers.is_there(f"{flow.name}-in{flow.attempt}")
        return
    if flow.kind == "sim-chat":
        return  # what it wrote down is compared in the end
    got = [text for person in people for text in person.got]
    if f"taken in {flow.name} {flow.attempt}" in world.notes:
        got += list(world.outside.stored.values())
    wanted = "the file" if flow.kind == SendFile.kind else world.secrets[flow.name]
    if flow.kind == "sim-mint":
        good = any(text in world.outside.done.values() for text in got)
    else:
        good = wanted in got
    if not good:
        world.violate(f"{flow.name} is done, and its recipient has {len(got)} other texts")


def check_transfers(world: World) -> None:
    """Every transfer has come to the end that it had to, and that is true."""
    world.disk.look()
    world.disk.check_tidy()
    for transfer in world.transfers.by_flow.values():
        flow, name = transfer.flow, transfer.flow.name
        people = people_of(world, flow)
        got = [text for person in people for text in person.got]
        if flow.status == "failed":
            if transfer.resumes or not transfer.died_chosen:
                world.violate(f"{name} failed, and could have gone on")
            if transfer.knew and "everything was sent" not in transfer.reason:
                world.violate(f"{name} failed, and says wrongly: {transfer.reason}")
        elif flow.status != "done":
            world.violate(f"{name} ended as {flow.status!r}")
        if got not in ([], ["the file"], ["acknowledged"]):
            world.violate(f"the peer of {name} got {got}")


def stuck(world: World) -> list[str]:
    """Flows that should have ended, and have not."""
    found = []
    for flow in world.watch.flows.values():
        if flow.finished or flow.kind in GUESTS:
            continue
        if flow.kind == "sim-timer" and not world.excused("jumped"):
            # Its deadline, which is a time of day, is over long ago.
            found.append(flow.name)
        if flow.attempt not in flow.told:
            # Everybody else waits for its code.
            found.append(flow.name)
        people = people_of(world, flow)
        clean = people and all(p.plan in CLEAN and not p.tired for p in people)
        taken = f"taken in {flow.name} {flow.attempt}" in world.notes
        taken = taken and not world.excused(f"cancelled {flow.name}-in{flow.attempt}")
        if (clean or taken) and not world.excused("forgot", f"crowded {flow.name}"):
            found.append(flow.name)
    return found


def held_in_vain(world: World) -> list[str]:
    """What processes go on with that is over, or somebody else's."""
    flows = world.watch.flows
    return [
        f"{life.name} goes on with {flows[number].name}, which is not its own"
        for life in world.lives
        if life.engine is not None and not life.stopping
        for number in life.engine.running
        if flows[number].finished or flows[number].taker != life.worker
    ]


def check_end(world: World) -> None:
    """Everything is over: is it all in order?"""
    for flow in world.watch.flows.values():
        if not flow.finished:
            world.violate(f"{flow.name} never ended; it is {flow.status}")
    _check_writes(world)
    _check_people(world)
    _check_server(world)
    _check_secrets(world)
    for finding in world.operator.checks.database():
        world.violate(f"doctor: {finding.what}")
    for examined in world.operator.checks.flows():
        check_flow(examined)
        for finding in examined.findings:
            if not finding.hint:
                world.violate(f"doctor: {examined.name}: {finding.what}")


def _check_writes(world: World) -> None:
    rows = world.storage.raw.execute("SELECT flow, attempt, what FROM sim_writes ORDER BY id")
    by_attempt: dict[tuple[str, int], list[str]] = {}
    for flow, attempt, what in rows.fetchall():
        by_attempt.setdefault((flow, attempt), []).append(what)
    for (flow, attempt), writes in by_attempt.items():
        if {p.plan for p in world.people if p.flow == flow} & {"garbage", "says no"}:
            continue  # who may say the same thing twice
        for what, number in Counter(writes).items():
            if number > 1:
                world.violate(f"{flow} wrote {what!r} {number} times in attempt {attempt}")
        heard = [what for what in writes if what.startswith("heard ")]
        wanted = [f"heard peer says {number}" for number in range(MESSAGES)]
        if heard != wanted[: len(heard)]:
            world.violate(f"{flow} heard {heard}")
    for found in world.watch.flows.values():
        if found.status != "done":
            continue
        writes = by_attempt.get((found.name, found.attempt), [])
        complete = {
            "sim-mint": ["versions", "minted", "collected"],
            "sim-receive": ["offered", "stored"],
            "sim-chat": ["versions", *(f"heard peer says {n}" for n in range(MESSAGES))],
        }.get(found.kind)
        if complete is not None and writes != complete:
            world.violate(f"{found.name} is done, and wrote only {writes}")


def _check_people(world: World) -> None:
    for person in world.people:
        if person.appid == "example.com/chat":
            says = [f"{person.flow} says {number}" for number in range(MESSAGES)]
            heard = [f"{person.flow} heard {number + 1}" for number in range(MESSAGES)]
            if person.plan != "comes again" and person.got != (says + heard)[: len(person.got)]:
                world.violate(f"{person.name} got {person.got}")
        elif len(person.got) > (2 if person.plan == "comes again" else 1):
            world.violate(f"{person.name} got {len(person.got)} texts")


def _check_server(world: World) -> None:
    tables = world.server.service.tables
    # A side that the server itself failed leaves it at one attempt.
    ours = {
        name
        for name, side in world.watch.sides.items()
        if not {(side.attempt, end) for end in ("failed", "crowded")} & {*side.flow.ended}
    }
    for row in tables.nameplates.values():
        for side in sorted(ours & {side for side, holds in row.sides.items() if holds}):
            # An allocation whose answer was lost leaves one that nobody knows.
            if ("release", row.name) in world.watch.sides[side].frames:
                name = world.trace.called(side)
                world.violate(f"{name} is over, and the nameplate {row.name} is still claimed")
    for box in tables.mailboxes.values():
        for side in sorted(ours & {side for side, is_open in box.sides.items() if is_open}):
            if world.watch.sides[side].opened:
                world.violate(f"{world.trace.called(side)} is over, and a mailbox is still open")
    world.watching.check_end(ours)


def _check_secrets(world: World) -> None:
    stored = world.storage.raw.serialize()
    hidden_places = [place.mailbox for place in world.watching.places.values() if place.mailbox]
    hidden = [*world.secrets.values(), *world.outside.done.values()]
    hidden += [flow.code for flow in world.watch.flows.values() if flow.code]
    hidden += [person.code for person in world.people]
    hidden += [*hidden_places, *world.watching.names]
    for secret in hidden:
        if secret.encode() in stored:
            world.violate("a secret stands in the database as it is")
