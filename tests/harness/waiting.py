"""Wait until something is true. A deadline only says when to give up: it is no timing."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 60.0
"""Seconds after which a wait gives up: far more than a busy machine needs."""


def until(question: Callable[[], T], what: str | Callable[[], str], timeout: float = DEADLINE) -> T:
    """Ask `question` until its answer is true; return the answer.

    For what tells nobody that it has happened, such as a row in another process's database.
    It blocks its thread: on the reactor use `tests.harness.reactor.until()`.
    Raises AssertionError naming `what` after `timeout` seconds.
    """
    assert threading.current_thread().name != "reactor", "this would block the reactor"
    end = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(
                f"not within {timeout:g} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.02)
