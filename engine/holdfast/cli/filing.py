"""Files that a command that runs flows writes; if they cannot be written, the flows still continue.

They may be on a full disk, or on a server that has stopped answering. So a thread of its own writes
them, and tries again until it succeeds.
"""

import contextlib
import threading
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from holdfast.cli import outlet, say
from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused

Given = TypeVar("Given", contravariant=True)
Item = TypeVar("Item")


class Written(Protocol[Given]):
    """What is written: the codes file, or the letters."""

    @property
    def name(self) -> str:
        """How an error message names it."""

    def update(self, items: Mapping[str, Given], /) -> None:
        """Write these, by name. Raises `Refused`, OSError, ValueError."""


@define(eq=False)
class Filing(Generic[Item]):
    """Writes codes, or letters, in a thread.

    Args:
        file: where they go.
        what: what the operator calls them.
    """

    _file: Written[Item]
    _what: str = "codes"
    _waiting: dict[str, Item] = field(factory=dict, init=False, repr=False)
    _failure: str | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _turn: threading.Condition = field(factory=threading.Condition, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def add(self, items: Mapping[str, Item]) -> None:
        """Hand over some, by the names of people; return at once."""
        with self._turn:
            self._waiting.update(items)
            self._turn.notify_all()
            if self._thread is None:
                # A daemon thread, because it may be in a call that never returns.
                thread = threading.Thread(target=self._work, name=self._what, daemon=True)
                # If a thread cannot be started now, the next code tries again.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def finish(self) -> None:
        """Wait until all are written, or that fails once more; say how many are not."""
        with self._turn:
            before = self._failures
            self._turn.notify_all()
            while self._waiting and self._failures == before:
                if not self._turn.wait(say.PATIENCE):
                    break
            missing = len(self._waiting)
        if missing:
            say.err(
                f"holdfast: {self._failure or self._file.name}; {missing} {self._what} are not in"
                f" it; {outlet.WHERE_CODES_ARE}"
            )

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._waiting:
                    self._turn.wait()
                items = dict(self._waiting)
            try:
                self._file.update(items)
            except Refused as refused:
                self._failed(printable(refused.words))
            except (OSError, ValueError) as error:
                self._failed(f"{self._file.name}: {type(error).__name__}")
            else:
                self._filed(items)

    def _failed(self, why: str) -> None:
        if self._failure != why:
            say.err(f"holdfast: {why}; trying again, and {outlet.WHERE_CODES_ARE}")
        with self._turn:
            self._failure = why
            self._failures += 1
            self._turn.notify_all()
            self._turn.wait(outlet.PAUSE)

    def _filed(self, items: Mapping[str, Item]) -> None:
        if self._failure is not None:
            say.err(f"holdfast: {self._file.name} is written again")
        with self._turn:
            self._failure = None
            for name, item in items.items():
                if self._waiting.get(name) == item:  # and not replaced meanwhile
                    del self._waiting[name]
            self._turn.notify_all()
