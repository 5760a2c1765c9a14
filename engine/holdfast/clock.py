"""What is needed of a clock: Twisted's reactor is one, and a test's clock another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that will be made."""

    def active(self) -> bool:
        """Whether it is still to come."""
        ...

    def cancel(self) -> None:
        """Cancel the call. It is an error if it is not active."""
        ...


class Clock(Protocol):
    """Time, as a reactor or Twisted's `Clock` has it."""

    def seconds(self) -> float:
        """Now."""
        ...

    def callLater(  # noqa: N802
        self, delay: float, callable: Callable[..., object], /, *args: object
    ) -> Timer:
        """Call it after `delay` seconds."""
        ...
