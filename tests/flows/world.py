"""The world of `holdfast.testing`, with what only Holdfast's own tests need.

Here a process can die at any moment, and stays dead until a test begins another one; and the clock
of its machine can be set back.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from attrs import define, field

from holdfast import testing
from holdfast.testing.network import URL
from holdfast.testing.world import BATCH, IN_MEMORY
from holdfast_journal import FlowRow

__all__ = ["BATCH", "URL", "World"]


@define(eq=False, repr=False)
class World(testing.World):
    """A world whose first flow is called ann."""

    dies_when: Callable[[], bool] = lambda: False
    """Asked before every step: whether the process has died just now."""
    loses_when: Callable[[], bool] = lambda: False
    """Asked before the process sends anything: whether it has died just now."""
    died: bool = False
    """Whether `until` has come to an end with the process."""
    set_back: float = 0.0
    """Seconds by which the machine's clock was set back."""
    _seen: dict[str | None, list[FlowRow]] = field(factory=dict, init=False)
    """The rows of a name, or all, as they are while nothing is written."""
    _seen_at: int = field(default=-1, init=False)
    """How much had been written into the database when they were read."""

    def add(self, flow: Any, name: str = "ann", **options: Any) -> None:
        super().add(flow, name, **options)

    def now(self) -> float:
        """Seconds since the epoch, as the machine's clock has it."""
        return super().now() - self.set_back

    def deliver_all(self) -> bool:
        """Let everything arrive that is under way; return False if the process died."""
        while not self.dies_when():
            if not self.network.step():
                return True
        self.died = True
        return False

    def until(self, reached: Callable[[], object], seconds: float = 600, step: float = 0.5) -> None:
        """Go on, through at most *seconds* of pretended time, until it is so, or it has died."""
        self.died = False
        super().until(lambda: reached() or self.died, seconds, step)

    def row(self, name: str | None = None) -> FlowRow:
        name = name or "ann"
        [row] = self._look(name) or [super().row(name)]
        return row

    def rows(self) -> list[FlowRow]:
        return list(self._look())

    def _look(self, name: str | None = None) -> list[FlowRow]:
        """Read the rows; what is in memory only if it was written since.

        `until` asks at each step, and most steps write nothing.
        """
        if self.database != IN_MEMORY:
            return self.journal.overview(name=name)
        if (written := self._written()) != self._seen_at:
            self._seen.clear()
            self._seen_at = written
        if name not in self._seen:
            self._seen[name] = self.journal.overview(name=name)
        return self._seen[name]

    def _written(self) -> int:
        """How many rows were written since the database in memory was made."""
        with closing(self.journal._database.engine.raw_connection()) as connection:
            found: int = connection.driver_connection.total_changes
        return found

    def heard(self, name: str = "ann") -> list[str]:
        return [entry.heard for entry in self.history(name)]

    def _is_dead(self, *, sending: bool = False) -> bool:
        return sending and self.loses_when()
