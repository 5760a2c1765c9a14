"""Many short lives of the `holdfast` command, each ended where a test wants it to end."""

import itertools
import signal
import sys
import threading
from pathlib import Path

from attrs import frozen

from tests.harness.closing import Closing
from tests.harness.process import Child, Finished, environment

PROGRAM = Path(__file__).with_name("victim.py")


@frozen
class Death:
    """When a process kills itself with SIGKILL; never, if nothing is given.

    Args:
        at: a moment, as `tests.harness.moments` names them.
        step: the number of the moment, counted from 1, whatever moment that is.
        since: the place from which steps are counted, instead of the start.
        seconds: the time since its start.
        record: whether every moment is to be written down.
        halts: moments at which it stands still until `Victim.go_on`.
    """

    at: str | None = None
    step: int | None = None
    since: str | None = None
    seconds: float | None = None
    record: bool = False
    halts: tuple[str, ...] = ()

    @property
    def options(self) -> list[str]:
        """What `tests.harness.victim` is to be told."""
        given = {
            "--kill-at": self.at,
            "--kill-step": self.step,
            "--since": self.since,
            "--kill-after": self.seconds,
        }
        words = [f"{option}={value}" for option, value in given.items() if value is not None]
        return [*words, *self.record * ["--record"], *(f"--halt={each}" for each in self.halts)]


class Victim(Child):
    """One life of a `holdfast` command, which writes to `log` what becomes of it.

    `program` is another program that takes the same options.
    """

    def __init__(
        self,
        *arguments: str | Path,
        death: Death,
        log: Path,
        env: dict[str, str],
        cwd: Path,
        program: Path = PROGRAM,
    ) -> None:
        self._log = log
        words = [f"--log={log}", *death.options, *arguments]
        super().__init__([sys.executable, program, *words], env=env, cwd=cwd)

    @property
    def moments(self) -> list[str]:
        """The moments that it has passed so far, if they are recorded."""
        return [each for each in self._logged if " " not in each]

    def halted_at(self, moment: str) -> bool:
        """Whether it stands still at this moment, or has stood there."""
        return f"halted {moment}" in self._logged

    def go_on(self) -> None:
        """Let it go on from where it stands still."""
        self.signal(signal.SIGCONT)

    @property
    def died_at(self) -> str | None:
        """The moment at which it killed itself; "time" if that was the time to."""
        last = self._logged[-1:]
        return last[0].removeprefix("died ") if last and last[0].startswith("died ") else None

    @property
    def lost_nameplates(self) -> int:
        """How many it may have asked for and not come to know; the server must forget them.

        It is to be recorded.
        """
        passed = [each.rpartition(":")[0] for each in self.moments]
        return passed.count("allocate:after") - passed.count("commit-allocated:after")

    def kill9(self, *, group: bool = False) -> Finished:
        """Kill it, and by default not what it has started, with SIGKILL; wait for its end."""
        return super().kill9(group=group)

    def describe(self) -> str:
        """Return what it was and all it said, for a failure's text."""
        return f"died at {self.died_at}\n{super().describe()}"

    @property
    def _logged(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


class Nursery(Closing):
    """Starts `holdfast` commands; none outlives it. What becomes of them is kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._numbers = itertools.count(1)
        self._turn = threading.Lock()
        self._alive: list[Victim] = []

    def close(self) -> None:
        """Kill whoever is still there."""
        for each in self._alive:
            each.close()

    def start(
        self,
        *arguments: str | Path,
        home: Path,
        death: Death | None = None,
        program: Path = PROGRAM,
        **env: str,
    ) -> Victim:
        """Start `holdfast ARGUMENTS...`, or another program, in `home`, its working directory."""
        home.mkdir(parents=True, exist_ok=True)
        ours = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
        with self._turn:
            log = self._folder / f"{next(self._numbers):04}.log"
            victim = Victim(
                *arguments,
                death=death or Death(),
                log=log,
                env=environment(**ours | env),
                cwd=home,
                program=program,
            )
            self._alive = [*(each for each in self._alive if each.alive), victim]
        return victim

    def run(self, *arguments: str | Path, home: Path, **env: str) -> Finished:
        """Run `holdfast ARGUMENTS...` to its end."""
        return self.start(*arguments, home=home, **env).wait()
