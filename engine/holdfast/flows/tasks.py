"""Work outside the wormhole: run after the commit, and tried again under the same key.

A task runs at least once. The service that does the work can make that exactly once with the
idempotency key, which is the same at every try, also after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import field, frozen


class TaskFailed(Exception):
    """A task failed. The text is shown to operators, so it must not hold a secret.

    Args:
        final: whether trying again is pointless.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@frozen
class Call:
    """One try of a task.

    Args:
        arguments: as given to `Flow.perform`, JSON values.
        key: the idempotency key, 32 hexadecimal digits.
        reactor: Twisted's reactor.
    """

    arguments: dict[str, Any] = field(repr=False)
    key: str
    reactor: Any = field(repr=False)


Function: TypeAlias = Callable[[Call], Any]
"""What does a task; see `task`."""


@frozen
class Kind:
    """A task as it was registered; see `task`."""

    run: Function
    tries: int
    at_once: int
    timeout: float
    blocks: bool


_kinds: dict[str, Kind] = {}


def task(
    name: str,
    *,
    tries: int = 10,
    at_once: int = 4,
    timeout: float = 60.0,
    blocks: bool = False,
) -> Callable[[Function], Function]:
    """Register a function as the task called `name`.

    The function gets a `Call`, and returns a JSON value or a Deferred of one; it raises TaskFailed.

    Args:
        name: stands in journals, so it must not change.
        tries: how often it is begun before it fails for good; tries that died with their
            process count too.
        at_once: how many run at the same time in one process.
        timeout: seconds after which a Deferred is cancelled, which is a failed try.
        blocks: whether the function blocks; then it runs in a thread, and returns its value
            itself. A thread cannot be cancelled: a late one keeps its place until it returns,
            and its result is dropped.

    Raises:
        ValueError: another function has this name.
    """

    def register(run: Function) -> Function:
        if name in _kinds:
            raise ValueError(f"two tasks are called {name!r}")
        _kinds[name] = Kind(run, tries, at_once, timeout, blocks)
        return run

    return register


def kind_of(name: str) -> Kind | None:
    """Return the task that is registered in this process as `name`, or None."""
    return _kinds.get(name)


def kinds() -> tuple[str, ...]:
    """Return the names of all registered tasks."""
    return tuple(_kinds)


def name_of(run: Function | str) -> str:
    """Return the name of a task that is given by its name, or as the function itself.

    Raises:
        ValueError: the function is no task, or it is several.
    """
    if isinstance(run, str):
        return run
    names = [name for name, kind in _kinds.items() if kind.run == run]
    if len(names) == 1:
        return names[0]
    called = getattr(run, "__qualname__", type(run).__name__)
    if not names:
        raise ValueError(f"{called} is not a task here; @task(NAME) makes it one")
    raise ValueError(f"{called} is several tasks ({', '.join(names)}); say its name")


def method_name(task_name: str) -> str:
    """Return the part of a flow's method names that stands for a task."""
    return task_name.replace("-", "_")
