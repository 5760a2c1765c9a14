"""One clock, one queue of events, and one source of chance: what happens follows from the seed.

An *actor* is a process of somebody's: ours, a recipient's, a stranger's. Whatever it does is a step
of the kernel, during which no time passes and nobody else does anything.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field


class Died(BaseException):
    """The process has died at this very place. Nothing that catches exceptions may catch it."""


@define(eq=False, repr=False)
class Event:
    """A call to come; also what `callLater` returns (IDelayedCall, as far as it is used)."""

    time: float
    actor: "Actor | None"
    call: Callable[[], object]
    done: bool = False
    """Called, cancelled or gone with its actor."""

    def active(self) -> bool:
        return not self.done

    def cancel(self) -> None:
        self.done = True

    def getTime(self) -> float:  # noqa: N802
        return self.time


@define(eq=False, repr=False)
class Actor:
    """A process: its steps, while it is not paused, and its end."""

    name: str
    kernel: "Kernel"
    alive: bool = field(default=True, init=False)
    doomed: bool = field(default=False, init=False)
    """Whether it dies with the present step, whatever that still does in vain."""
    paused: bool = field(default=False, init=False)
    _backlog: list[Event] = field(factory=list, init=False)

    def die(self) -> None:
        """Die here and now, from inside a step of one's own."""
        self.doomed = True
        raise Died

    def entered(self) -> None:
        """A step of ours begins."""

    def buried(self) -> None:
        """It is dead: the world takes down what it held."""

    def holds_up(self, event: Event) -> bool:
        """Whether it does not get to this now."""
        return self.paused

    def pause(self) -> None:
        """As SIGSTOP does it."""
        self.paused = True

    def resume(self) -> None:
        """As SIGCONT does it: what was due meanwhile happens now, in its order."""
        self.paused = False
        backlog, self._backlog = self._backlog, []
        for event in backlog:
            self.kernel.push(event, self.kernel.now)

    def kill(self) -> None:
        """End it from outside, between two steps."""
        if self.alive:
            self.alive = False
            self._backlog.clear()
            self.buried()


@define(eq=False, repr=False)
class Kernel:
    """The clock and the queue."""

    random: Random
    now: float = 0.0
    """Seconds since the beginning; nothing makes it jump."""
    steps: int = 0
    current: Actor | None = None
    """Whose step it is; None: the world's own."""
    _queue: list[tuple[float, int, Event]] = field(factory=list, init=False)
    _serial: int = field(default=0, init=False)

    @property
    def waiting(self) -> int:
        """How many events are to come."""
        return len(self._queue)

    def after(self, delay: float, call: Callable[[], object], actor: Actor | None = None) -> Event:
        """Have `call` happen as a step of `actor`; of two at one time the older one is first."""
        return self.at(self.now + max(0.0, delay), call, actor)

    def at(self, time: float, call: Callable[[], object], actor: Actor | None = None) -> Event:
        event = Event(time, actor, call)
        self.push(event, time)
        return event

    def push(self, event: Event, time: float) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (time, self._serial, event))

    def between(self, low: float, high: float) -> float:
        """A time between both, short ones likelier than long ones."""
        chance: float = self.random.random()
        return low + (high - low) * chance * chance

    def step(self) -> bool:
        """Let the next thing happen; False if there is none."""
        while self._queue:
            self.now, _, event = heapq.heappop(self._queue)
            actor = event.actor
            if event.done or (actor is not None and not actor.alive):
                continue
            if actor is not None and actor.holds_up(event):
                actor._backlog.append(event)
                continue
            event.done = True
            self.steps += 1
            self.act(actor, event.call)
            return True
        return False

    def act(self, actor: Actor | None, call: Callable[[], object]) -> Any:
        """Do something as a step of `actor`; None if it died of it."""
        before, self.current = self.current, actor
        result = None
        try:
            if actor is not None:
                actor.entered()
            result = call()
        except Died:
            pass
        finally:
            self.current = before
        if actor is not None and actor.doomed:
            actor.kill()
        return result
