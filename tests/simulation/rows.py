"""What must hold of a flow's rows after every commit: who wrote them, and that they are sealed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast_journal.errors import Unreadable
from holdfast_journal.keys.detached import derived, open_detached
from holdfast_journal.keys.sealing import unseal
from tests.simulation.storage import KEYS

if TYPE_CHECKING:
    from tests.simulation.invariants import Flow
    from tests.simulation.world import World

SHREDDED = ("done", "cancelled", "expired")
"""How flows end whose secrets nobody needs any more."""

SEALED = ("params", "checkpoint", "published", "data_key")

BY_OTHERS = ("damaged", "retried")
"""Entries that are not written by whoever runs the flow."""

GUESS = re.compile(r"flow: wrong code, guess (\d+) of (\d+);.*")
"""What an entry says behind which the same code opens again."""


def open_column(world: World, flow: Flow, column: str, seq: int, sealed: Any) -> bytes | None:
    """What is in a column, which must be sealed under the flow's own key for this very place."""
    if sealed is None or flow.key is None:
        return None
    try:
        return unseal(flow.key, flow.uid, column, seq, sealed)
    except Unreadable:
        world.violate(f"{flow.name} has something in storage that is not sealed: {column}")
        return None


def check_row(world: World, flow: Flow, row: Any) -> None:
    """A flow has moved."""
    if not flow.finished:
        open_column(world, flow, "params", 0, row["params"])
    if row["checkpoint"] is not None or not flow.finished:
        open_column(world, flow, "published", 0, row["published"])
    if flow.finished and flow.status in SHREDDED:
        kept = [name for name in SEALED if row[name] is not None]
        if kept:
            world.violate(f"{flow.name} is {flow.status}, and its secrets are still there: {kept}")


def check_entry(world: World, flow: Flow, row: Any) -> None:
    """There is a new entry."""
    if row["kind"] not in BY_OTHERS and row["worker"] != flow.taker:
        world.violate(f"{flow.name} was written by somebody who does not run it")
    if row["kind"] != "damaged":
        open_column(world, flow, "event", row["seq"], row["event"])
    words = row["heard"] + row["said"]
    hidden = [world.secrets.get(flow.name), flow.code, *world.outside.done.values()]
    if any(secret in words for secret in hidden if secret):
        world.violate(f"{flow.name} has a secret in the words of an entry")
    if (guess := GUESS.fullmatch(row["heard"])) is not None:
        flow.guesses[flow.attempt] += 1
        count, most = flow.guesses[flow.attempt], world.guesses[flow.name]
        if count >= most or (int(guess[1]), int(guess[2])) != (count, most):
            world.violate(f"{flow.name} says '{guess[0]}' after wrong guess {count} of {most}")


def check_task(world: World, flow: Flow, row: Any) -> None:
    """There is a new task; or one that outlives its flow, which the watch remembers."""
    if row["number"] > 0:
        open_column(world, flow, "arguments", row["number"], row["arguments"])
        return
    ((sealed,),) = world.storage.raw.execute("SELECT fingerprint_key FROM holdfast_keys").fetchall()
    key = derived(KEYS.open("", "fingerprint_key", sealed))
    try:
        plain = open_detached(key, flow.uid, row["number"], row["arguments"])
        world.watch.owed[row["key"]] = json.loads(plain)["what"]
    except Unreadable:
        world.violate(f"a detached task of {flow.name} is not sealed")


def check_message(world: World, flow: Flow, row: Any) -> None:
    """Something that was said lies in a row of its own."""
    open_column(world, flow, "message", row["number"], row["body"])
    if flow.finished and flow.status in SHREDDED:
        world.violate(f"{flow.name} is {flow.status}, and what it said is still there")


def named(cursor: Any) -> list[dict[str, Any]]:
    """The rows of a query, by the names of their columns."""
    names = [column[0] for column in cursor.description]
    make: Callable[[Any], dict[str, Any]] = lambda row: dict(zip(names, row, strict=True))  # noqa: E731
    return [make(row) for row in cursor.fetchall()]
