"""Every point at which a process may die, in each of the canonical histories.

`python -m tests.simulation.crashes` tries them all; with `--history NAME --at K` it tells what
happens if the process dies at point K, and with `--then L` if the next one dies at point L, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from typing import Any

from attrs import evolve
from twisted.logger import globalLogBeginner

from holdfast.flows.engine import looking
from tests.simulation import endings, running
from tests.simulation.dilation import histories as dilated
from tests.simulation.dilation import running as dilating
from tests.simulation.dilation.histories import Dilated
from tests.simulation.histories import HISTORIES, History
from tests.simulation.histories import named as named_flow
from tests.simulation.played import Played
from tests.simulation.stage import NAMES, Stage
from tests.simulation.world import Violation

LONGEST = 1000.0
"""Seconds in which every history has come to its end, whatever died on the way; and as long as
nobody was there."""

SHOWN = 5
"""Failures of a history that are printed."""

AFTERWARDS = 2.0
"""Seconds after it in which processes may still die."""

LEFT = "SELECT id FROM holdfast_tasks WHERE number < 0"
"""What is still to be told."""

LOOK_EVERY = 5.0
"""Seconds between two looks of an engine into the database: fewer looks, fewer points."""


ALL: tuple[History | Dilated, ...] = (*HISTORIES, *dilated.HISTORIES)


def named(name: str) -> History | Dilated:
    """Return the history of this name.

    Raises:
        ValueError: there is none.
    """
    known = any(history.name == name for history in dilated.HISTORIES)
    return dilated.named(name) if known else named_flow(name)


def play(history: History | Dilated, *at: int) -> Played:
    """Play a history, with a death at each of these points."""
    if isinstance(history, Dilated):
        return dilating.play(history, *at)
    stage = Stage(1, history=history)
    stage.faults.at = at
    problem = ""
    with stage.real():
        looking.LOOK_EVERY = LOOK_EVERY  # type: ignore[misc]
        try:
            _live(stage)
        except Violation as error:
            problem = str(error)
        except Exception:  # noqa: BLE001 - whatever it was, it is told with its points
            problem = traceback.format_exc()
        finally:
            running.bury(stage)
    if not problem and stage.unhandled:
        problem = stage.unhandled[0]
    return Played(
        history.name, at, stage.faults.count, problem, stage.kernel.now, tuple(stage.trace.lines)
    )


def _live(stage: Stage) -> None:
    stage.plan()
    running.go_on(stage, LONGEST + stage.history.away, lambda: _step(stage), every=1)
    running.go_on(stage, AFTERWARDS, lambda: _step(stage) and False, every=1)
    stage.faults.counting = False
    stage.closing = True
    for life in list(stage.lives):
        stage.kernel.act(life, life.stop)
    running.go_on(stage, 60.0, lambda: not stage.lives, every=1)
    running.go_on(stage, 1.0, lambda: False)
    endings.check_end(stage)
    _check(stage)
    running.check(stage)


def _step(stage: Stage) -> bool:
    stage.faults.between()
    ends = len(stage.history.ends)
    flows = stage.watch.flows.values()
    return (
        all(len(flow.ended) == (ends if flow.name in NAMES else 1) for flow in flows)
        and all(person.over for person in stage.people)
        and not stage.coming
        and not stage.storage.raw.execute(LEFT).fetchall()
    )


def _check(stage: Stage) -> None:
    """Has the history come to the ending that it should?"""
    history, outside = stage.history, stage.outside
    if history.on_disk is not None:
        endings.check_transfers(stage)
        _check_server(stage)
        return
    rows = stage.storage.raw.execute("SELECT flow, what FROM sim_writes ORDER BY id").fetchall()
    for flow in stage.watch.flows.values():
        ours = flow.name in NAMES
        ends = [status for _, status in flow.ended]
        _compare(stage, f"{flow.name} ended as", ends, history.ends if ours else ("done",))
        writes = [what for name, what in rows if name == flow.name]
        expected = history.writes if ours else ("offered", "stored")
        _compare(stage, f"{flow.name} wrote", writes, expected)
    minted = "".join(outside.done.values())
    for flow in stage.flows:
        known = {"name": flow.name, "minted": minted}
        expected = tuple(each.format_map(known) for each in history.got)
        got = [each for person in stage.people if person.flow == flow.name for each in person.got]
        _compare(stage, f"the peer of {flow.name} got", got, expected)
        told = [each.format(name=flow.name) for each in history.told]
        heard = [each for each in outside.heard if each.startswith(f"{flow.name}:")]
        _compare(stage, f"of {flow.name} was told", sorted(heard), tuple(told))
    _compare(stage, "tasks done", [len(outside.done) + len(outside.stored)], (history.tasks,))
    if outside.stored and [*outside.stored.values()] != [*stage.secrets.values()]:
        stage.violate("something else was put away than what was handed over")
    for person in stage.people:
        if not person.over:
            stage.violate(f"{person.name} is still there")
    if history.watched and not stage.faults.at and (stage.untold or not stage.watching.count):
        stage.violate("nobody was watched, or told")
    _check_server(stage)


def _compare(stage: Stage, what: str, found: list[Any], expected: tuple[Any, ...]) -> None:
    if found != list(expected):
        stage.violate(f"{what} {found}, and not {list(expected)}")


def _check_server(stage: Stage) -> None:
    """Nothing is left there but what nobody can know of, and the server forgets again.

    That is a nameplate whose number was in an answer that was lost; and on a server that has
    forgotten a mailbox before we knew of anything of ours in it, the empty one that our `open`
    made in its place; and after a long absence the empty one to which a nameplate led that was
    given back to find out whose it was.
    """
    tables = stage.server.tables()
    known = {name for side in stage.watch.sides.values() for _, name in side.frames}
    allowed = set()
    for row in tables.nameplates.values():
        if row.name in known:
            stage.violate(f"the nameplate {row.name} is left on the server")
        allowed.add(row.mailbox)
    for mailbox in tables.mailboxes:
        unknown = stage.history.away and mailbox not in known
        if mailbox not in allowed and not unknown and not stage.excused("forgot"):
            stage.violate("a mailbox is left on the server")
    if tables.messages:
        stage.violate("messages are left on the server")
    if tables.watches.watched:
        stage.violate("something is still watched")


def every_point(
    history: History | Dilated, *, most: int | None = None, pairs: bool = False
) -> Iterator[Played]:
    """Play a history without a death, once for each point, and for each pair if so asked.

    Args:
        history: what is played.
        most: take only about so many points, each from the middle of its share.
        pairs: whether to play a second death after each first one, too.
    """
    whole = play(history)
    yield whole
    step = 1 if most is None else max(1, whole.points // most)
    for point in range((step + 1) // 2, whole.points + 1, step):
        yield from _from(history, pairs, point)


def failures(
    history: History | Dilated, *, most: int | None = None, pairs: bool = False
) -> list[Played]:
    """Return what went wrong; nothing should."""
    return [each for each in every_point(history, most=most, pairs=pairs) if each.problem]


def _from(history: History | Dilated, pairs: bool, point: int) -> list[Played]:
    made = [play(history, point)]
    if pairs:
        seconds = range(point + 1, made[0].points + 1)
        made += [play(history, point, second) for second in seconds]
    return [evolve(played, trace=()) for played in made]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.crashes", description="Every point of every history."
    )
    names = [history.name for history in ALL]
    parser.add_argument("--history", choices=names, help="this one alone")
    parser.add_argument("--at", type=int, help="the point at which the process dies")
    parser.add_argument("--then", type=int, help="the point at which the next one dies, too")
    parser.add_argument(
        "--pairs",
        action="store_true",
        help="pairs of points, too: of the short ones, or of this one",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    given = parser.parse_args()
    chosen = [named(given.history)] if given.history else list(ALL)
    if given.at is not None:
        if len(chosen) > 1:
            parser.error("--at needs a --history")
        return _one(chosen[0], *(point for point in (given.at, given.then) if point is not None))
    # What the dead leave undone is told when the garbage is collected, and worth nothing.
    globalLogBeginner.beginLoggingTo((), redirectStandardIO=False)
    began = time.monotonic()
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(given.jobs) as pool:
        for history in chosen:
            before = time.monotonic()
            paired = given.pairs and (history.pairs or len(chosen) == 1)
            counts = _try(pool, history, paired)
            print(_line(history.name, counts, before), flush=True)
            total += counts
    print(_line(f"{len(chosen)} histories", total, began))
    return 1 if total["failed"] else 0


def _one(history: History, *at: int) -> int:
    played = play(history, *at)
    print("\n".join(played.trace))
    print(f"{history.name}: {played.points} points; {played}")
    return 1 if played.problem else 0


def _named(name: str, pairs: bool, point: int) -> list[Played]:
    """As `_from`, in a process of its own."""
    return _from(named(name), pairs, point)


def _try(pool: Executor, history: History | Dilated, pairs: bool) -> Counter[str]:
    """Try a history, and count its points, pairs and failures."""
    whole = play(history)
    points = range(1, whole.points + 1)
    failed, runs = [whole] if whole.problem else [], 0
    for made in pool.map(partial(_named, history.name, pairs), points):
        runs += len(made)
        failed += [played for played in made if played.problem]
    for played in failed[:SHOWN]:
        print(f"FAILED: {played}")
    return Counter(points=len(points), pairs=runs - len(points), failed=len(failed))


def _line(name: str, counts: Counter[str], began: float) -> str:
    told = "".join(f"{counts[each]:>8} {each}" for each in ("points", "pairs", "failed"))
    return f"{name:<18}{told}{time.monotonic() - began:>8.0f} s"


if __name__ == "__main__":
    sys.exit(main())
