"""The codes file of a command that runs flows; if it cannot be written, the flows still continue.

The file may be on a full disk, or on a server that has stopped answering. So a thread of its own
writes it, and tries again until it succeeds.
"""

import contextlib
import threading
from collections.abc import Mapping

from attrs import define, field

from holdfast.cli import outlet, say
from holdfast.operating.codes_file import CodesFile
from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused


@define(eq=False)
class Filing:
    """Writes codes to a file, in a thread."""

    _file: CodesFile
    _waiting: dict[str, str] = field(factory=dict, init=False)
    _failure: str | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _turn: threading.Condition = field(factory=threading.Condition, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def add(self, codes: Mapping[str, str]) -> None:
        """Hand over some codes, by name; return at once."""
        with self._turn:
            self._waiting.update(codes)
            self._turn.notify_all()
            if self._thread is None:
                # A daemon thread, because it may be in a call that never returns.
                thread = threading.Thread(target=self._work, name="codes", daemon=True)
                # If a thread cannot be started now, the next code tries again.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def finish(self) -> None:
        """Wait until the codes are written, or that fails once more; say which are not."""
        with self._turn:
            before = self._failures
            self._turn.notify_all()
            while self._waiting and self._failures == before:
                if not self._turn.wait(say.PATIENCE):
                    break
            missing = len(self._waiting)
        if missing:
            say.err(
                f"holdfast: {self._failure or self._file.name}; {missing} codes are not in it;"
                f" {outlet.WHERE_CODES_ARE}"
            )

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._waiting:
                    self._turn.wait()
                codes = dict(self._waiting)
            try:
                self._file.update(codes)
            except Refused as refused:
                self._failed(printable(refused.words))
            except (OSError, ValueError) as error:
                self._failed(f"{self._file.name}: {type(error).__name__}")
            else:
                self._filed(codes)

    def _failed(self, why: str) -> None:
        if self._failure != why:
            say.err(f"holdfast: {why}; trying again, and {outlet.WHERE_CODES_ARE}")
        with self._turn:
            self._failure = why
            self._failures += 1
            self._turn.notify_all()
            self._turn.wait(outlet.PAUSE)

    def _filed(self, codes: Mapping[str, str]) -> None:
        if self._failure is not None:
            say.err(f"holdfast: {self._file.name} is written again")
        with self._turn:
            self._failure = None
            for name, code in codes.items():
                if self._waiting.get(name) == code:  # and not replaced meanwhile
                    del self._waiting[name]
            self._turn.notify_all()
