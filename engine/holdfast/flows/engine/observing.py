"""What an engine tells of its work to whoever counts it, such as `holdfast.telemetry`.

No name, code, uid or value of a flow is told, so none can get into a metric.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Move:
    """A flow whose status has changed."""

    kind: str
    before: str
    after: str
    """Both are words of the database; see `holdfast_journal.FlowStatus`."""
    verdict: str
    """The status with which it will end, or has ended; "" if that is not decided."""
    seconds: float
    """How long it stood as `before`, also in other processes."""


class Observer:
    """Hears of what is durable, in the reactor's thread; here, and takes no notice of it.

    Its methods must not raise.
    """

    def took(self, kind: str, *, from_the_dead: bool) -> None:
        """A flow runs here now; perhaps it was another worker's, which has died."""

    def moved(self, move: Move) -> None:
        """The status of a flow has changed."""

    def guessed_wrong(self, kind: str) -> None:
        """Somebody came to a flow with a wrong code."""

    def broke(self, kind: str) -> None:
        """The own code of a flow raised, and the flow will be loaded again."""

    def tried(self, task: str, outcome: str, seconds: float) -> None:
        """A try of a task has ended: `done`, `again` if there will be another, or `failed`."""


UNOBSERVED = Observer()
