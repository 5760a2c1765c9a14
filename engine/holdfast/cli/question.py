"""A question to the person at the terminal, while flows run."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field

from holdfast.cli import say

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

T = TypeVar("T")

THINKING: Final = 20 * 86_400.0
"""Seconds that a person may take before a task that asks begins again."""

UNANSWERED: Final = "there was no answer; nothing is lost: the same command asks again"


def somebody_is_there() -> bool:
    """Whether there is a terminal on which somebody reads a question and can answer it."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


@define(eq=False)
class Question:
    """Asks one question after another, and never two at once."""

    unanswered: str | None = field(default=None, init=False)
    """Why there is no answer and will be none in this process, in words."""
    is_open: bool = field(default=False, init=False)
    """Whether a question is on the screen."""

    def ask(self, reactor: Any, asked: str, understood: Callable[[str], T | None]) -> Deferred[T]:
        """Ask until there is an answer.

        Args:
            reactor: in whose thread the answer is told.
            asked: the question, which ends with a space.
            understood: returns what a line means as an answer; or None, and it is asked again.
        """
        from twisted.internet.defer import Deferred

        decided: Deferred[T] = Deferred()
        self.is_open = True

        def wait() -> None:
            reactor.callFromThread(decide, typed(asked, understood))

        def decide(answer: T | None) -> None:
            self.is_open = False
            if answer is None:
                self.unanswered = UNANSWERED
            else:
                decided.callback(answer)

        # A daemon, because it reads until the process ends.
        threading.Thread(target=wait, name="asking", daemon=True).start()
        return decided

    def leave(self) -> None:
        """The command ends: a question that is still open stays on a line of its own."""
        if self.is_open:
            say.err("")


def typed(asked: str, understood: Callable[[str], T | None]) -> T | None:
    """Ask until there is an answer; return None if there will be none. Blocks."""
    while True:
        say.err(asked, end="")
        try:
            line = os.read(sys.stdin.fileno(), 1024)
        except OSError:  # the terminal is gone, or not ours
            return None
        if not line:
            say.err("")
            return None
        answer = understood(line.decode(errors="replace"))
        if answer is not None:
            return answer
