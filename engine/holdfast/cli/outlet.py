"""One stream, and the thread that writes it, so that nobody has to wait for its reader.

What waits is bounded; what is dropped is counted, and that is said.
"""

import contextlib
import signal
import threading
from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen

LIMIT = 4 * 1024 * 1024
"""Bytes that wait for one stream at most."""

PAUSE = 1.0
"""Seconds between two tries."""

WHERE_CODES_ARE = "'holdfast status --codes' shows the codes that are good"

Done = Callable[[OSError | None], object]


@frozen
class _Piece:
    data: bytes
    done: Done | None = None


@define(eq=False)
class Outlet:
    """One stream, and the thread that writes it.

    Args:
        name: how users know it.
        write: writes some bytes and returns how many; raises OSError.
        warn: called with a line when writing fails that did not before; for another stream.
        tell: called with a line when it works again and something is missing.
    """

    name: str
    write: Callable[[bytes], int]
    warn: Callable[[str], None]
    tell: Callable[[str], None]
    _waiting: deque[_Piece] = field(factory=deque, init=False)
    _size: int = field(default=0, init=False)
    _dropped: int = field(default=0, init=False)
    _refusals: int = field(default=0, init=False)  # in a row
    _error: OSError | None = field(default=None, init=False)
    _turn: threading.Condition = field(factory=threading.Condition, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def put(self, data: bytes, done: Done | None = None) -> None:
        """Hand over some bytes; return at once.

        With `done` they are tried once and not again, and `done` is called with the error, or
        None, in another thread.
        """
        with self._turn:
            if self._size + len(data) > LIMIT and done is None:
                self._dropped += 1
                return
            self._waiting.append(_Piece(data, done))
            self._size += len(data)
            self._turn.notify_all()
            if self._thread is None:
                # A daemon, because it may be in a write that never returns.
                thread = threading.Thread(target=self._work, name=self.name, daemon=True)
                # Where no thread can be had now, the next line tries it again.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    @property
    def behind(self) -> bool:
        """Whether something waits here."""
        return bool(self._waiting)

    def drain(self, patience: float) -> int:
        """Wait until all is written, is refused twice, or nothing moves for `patience` seconds.

        Return how many pieces were not written.
        """
        with self._turn:
            self._refusals = 0
            while self._waiting and self._refusals < 2:
                self._turn.notify_all()
                if not self._turn.wait(patience):
                    break
            return len(self._waiting) + self._dropped

    @property
    def why(self) -> str:
        """Why it cannot be written."""
        error = self._error
        return "it was not read" if error is None else (error.strerror or type(error).__name__)

    def _work(self) -> None:
        # A terminal may stop processes in the background that write to it (`stty tostop`): all of
        # the process, its flows too. Not for a thread that blocks the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        while True:
            with self._turn:
                while not self._waiting:
                    self._turn.wait()
                piece = self._waiting[0]
            try:
                written = self.write(piece.data)
            except OSError as error:
                self._refused(piece, error)
            else:
                self._wrote(piece, written)

    def _refused(self, piece: _Piece, error: OSError) -> None:
        first = self._error is None and piece.done is None
        with self._turn:
            self._error = error
            self._refusals += 1
            if piece.done is not None:
                self._remove(piece)
        if first:
            self.warn(
                f"holdfast: {self.name} cannot be written: {self.why}; the work continues, and"
                f" {WHERE_CODES_ARE}"
            )
        if piece.done is not None:
            piece.done(error)
        with self._turn:
            self._turn.notify_all()
            if piece.done is None:
                self._turn.wait(PAUSE)

    def _wrote(self, piece: _Piece, written: int) -> None:
        whole = written == len(piece.data)
        with self._turn:
            self._remove(piece)
            if not whole:
                rest = _Piece(piece.data[written:], piece.done)
                self._waiting.appendleft(rest)
                self._size += len(rest.data)
            why, self._error, self._refusals = self.why, None, 0
            missing = 0
            if not self._waiting:
                missing, self._dropped = self._dropped, 0
            self._turn.notify_all()
        if missing:
            self.tell(
                f"holdfast: {missing} lines are missing on {self.name}: {why} for a while;"
                f" {WHERE_CODES_ARE}"
            )
        if whole and piece.done is not None:
            piece.done(None)

    def _remove(self, piece: _Piece) -> None:
        self._waiting.popleft()
        self._size -= len(piece.data)
