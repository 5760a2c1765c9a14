"""How a benchmark measures: contestants, each in a process of its own, in turns.

A benchmark is a module of this package with a function `compare(bench)`, which returns an
`Outcome`.  What is measured runs in children: ours as `python -m tests.bench.NAME`, a peer's as a
script in `peers/`, under the environment of that peer.  A child gets its arguments as JSON and
prints its figures as JSON (`program`).
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tests.harness.process import environment
from tests.journal.postgres import memory

Figures = Mapping[str, Any]
Command = Sequence[str | Path]
HERE = Path(__file__).parent


@frozen
class Sample:
    """What several rounds measured, in `unit`."""

    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        shown = f"{number(self.median)} {self.unit}"
        if len(self.values) > 1:
            shown += f" ({number(min(self.values))}–{number(max(self.values))})"
        return shown


@frozen
class Row:
    """One line of the table."""

    what: str
    peer: Sample | str
    ours: Sample
    at_most: float | None = None
    at_least: float | None = None
    more_is_better: bool = False
    then: float | None = None
    """What the peer took in the run in which the goal was set."""

    @property
    def _ratio(self) -> float | None:
        if isinstance(self.peer, str) or not self.ours.median or not self.peer.median:
            return None
        ratio = self.peer.median / self.ours.median
        return 1 / ratio if self.more_is_better else ratio

    @property
    def _asked(self) -> float | None:
        if self.then is None or isinstance(self.peer, str):
            return None
        if self.at_most is not None:
            return self.then / self.at_most
        return None if self.at_least is None else self.at_least / self.then

    @property
    def ratio(self) -> str:
        """How many times better ours is."""
        return _times(self._ratio)

    @property
    def asked(self) -> str:
        """How many times better than the peer the goal was, when it was set."""
        return _times(self._asked)

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"≤ {number(self.at_most)} {self.ours.unit}"
        return "–" if self.at_least is None else f"≥ {number(self.at_least)} {self.ours.unit}"

    @property
    def met(self) -> str:
        if self.at_most is None and self.at_least is None:
            return "–"
        low = self.at_least is None or self.ours.median >= self.at_least
        high = self.at_most is None or self.ours.median <= self.at_most
        if low and high:
            return "met"
        if self._ratio is not None and self._asked is not None and self._ratio >= self._asked:
            return "met by ratio"
        return "**missed**"


@frozen
class Plot:
    """Lines over one axis; each series is a list of points."""

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    log_y: bool = False


@frozen
class Outcome:
    """What a benchmark has to say."""

    rows: Sequence[Row]
    plots: Sequence[Plot] = ()
    notes: Sequence[str] = ()
    """Sentences for below the table."""


@frozen
class Bench:
    """What a benchmark is given."""

    peers: Path
    """The folder of the peers' environments."""
    say: Callable[[str], object] = field(default=print)

    def ours(self, name: str, **arguments: Any) -> Figures:
        """Run `tests/bench/NAME.py` as a program of ours."""
        return self._figures(self.module(name), arguments)

    def peer(self, who: str, script: str, **arguments: Any) -> Figures:
        """Run a script of `peers/` in the environment of `who`."""
        return self._figures(self.script(who, script), arguments)

    def together(self, *programs: tuple[Command, Mapping[str, Any]]) -> list[Figures]:
        """Run several programs at the same time."""
        with ThreadPoolExecutor(len(programs)) as pool:
            return list(pool.map(lambda each: self._figures(*each), programs))

    def killed(self, command: Command, **arguments: Any) -> None:
        """Run something that ends by SIGKILL."""
        done = self._run(command, arguments)
        assert done.returncode == -signal.SIGKILL, f"{command}: {done}"

    def module(self, name: str) -> Command:
        """The command that runs `tests/bench/NAME.py`."""
        return [sys.executable, "-m", f"tests.bench.{name}"]

    def script(self, who: str, name: str) -> Command:
        """The command that runs a script of `peers/`."""
        return [self.python(who), HERE / "peers" / name]

    def python(self, who: str) -> Path:
        """The interpreter of a peer's environment. Raises SystemExit if there is none."""
        found = self.peers / who / "bin" / "python"
        if not found.exists():
            raise SystemExit(f"there is no {found}: `make bench` makes it")
        return found

    def rounds(
        self, count: int, contestants: Mapping[str, Callable[[], Figures]]
    ) -> Mapping[str, list[Figures]]:
        """Let every contestant run `count` times, in turns, each time another one first."""
        names = list(contestants)
        found: dict[str, list[Figures]] = {name: [] for name in names}
        for turn in range(count):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                found[name].append(contestants[name]())
                self.say(f"    {turn + 1}/{count} {name}: {_short(found[name][-1])}")
        return found

    def _run(
        self, command: Command, arguments: Mapping[str, Any]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, json.dumps(arguments)],
            check=False,
            capture_output=True,
            text=True,
            env=environment(HOLDFAST_KEY="5a" * 32),
        )

    def _figures(self, command: Command, arguments: Mapping[str, Any]) -> Figures:
        done = self._run(command, arguments)
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{said}")
        figures: Figures = json.loads(done.stdout.rpartition("FIGURES ")[2])
        return figures


def program(measure: Callable[..., Figures]) -> None:
    """Be a child: call `measure` with the arguments, and print what it returns."""
    arguments = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    figures = measure(**arguments)
    print("FIGURES", json.dumps(figures), flush=True)


def sample(found: Sequence[Figures], name: str, unit: str) -> Sample:
    """One figure of every round."""
    return Sample([float(figures[name]) for figures in found], unit)


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{number(ratio)}×"


@contextmanager
def folder(on_disk: bool = False) -> Iterator[Path]:
    """A temporary folder: in memory if there is such a thing, or where files really are written."""
    where = None if on_disk else memory()
    with tempfile.TemporaryDirectory(dir=where, prefix="holdfast-bench-") as name:
        yield Path(name)


def cpu_of(command: Sequence[str | Path]) -> float:
    """CPU seconds of a program from its start to its end, its children included."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command}: status {process.returncode}"
    return used.ru_utime + used.ru_stime


def _short(figures: Figures) -> str:
    flat = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    return ", ".join(f"{name} {number(value)}" for name, value in flat.items())
