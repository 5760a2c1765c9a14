"""Calls into the system that fail, or before which the process dies.

The interpreter's own profiler sees every such call before it is made, so that nothing has to be put
in the place of the code under test.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HARMLESS = {"fspath", "strerror", "geteuid", "getpid", "close", "_exit", "get_blocking"}
"""Calls that do nothing outside, or cannot fail in a way that matters."""


def is_system_call(function: Any) -> bool:
    """Whether a built-in function asks the system for something."""
    known = getattr(function, "__module__", None) in ("posix", "fcntl")
    return known and function.__name__ not in HARMLESS


@contextmanager
def before(chosen: Callable[[Any], bool], act: Callable[[], None]) -> Iterator[None]:
    """Call `act` before each built-in function that is `chosen`."""

    def hook(_: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and chosen(function):
            act()

    old = sys.getprofile()
    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(old)


@contextmanager
def before_call(name: str, act: Callable[[], None], nth: int = 1) -> Iterator[None]:
    """Call `act` before the `nth` call of that name, such as `open` or `flock`."""
    made = 0

    def chosen(function: Any) -> bool:
        nonlocal made
        if is_system_call(function) and function.__name__ == name:
            made += 1
            return made == nth
        return False

    with before(chosen, act):
        yield


@contextmanager
def failing(name: str, error: OSError, nth: int = 1) -> Iterator[None]:
    """Let the `nth` call of that name fail."""

    def fail() -> None:
        raise error

    with before_call(name, fail, nth):
        yield


@contextmanager
def at_call(number: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """Call `act` before the call into the system with that number, from 1; list them all."""
    made: list[str] = []

    def chosen(function: Any) -> bool:
        if is_system_call(function):
            made.append(function.__name__)
            return len(made) == number
        return False

    with before(chosen, act):
        yield made


def die() -> None:
    """End this process as `kill -9` does: nothing is cleaned up."""
    os._exit(9)
