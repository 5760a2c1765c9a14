"""Whole messages out of WebSocket frames. Pure: no transport, no time."""

from typing import Final

from websockets.frames import Frame, Opcode

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Messages:
    """Assembles the messages of one connection; those that cannot be handed on wait here."""

    # Thousands wait at once, and each of their objects counts.
    __slots__ = ("_pieces", "waiting")

    def __init__(self) -> None:
        self._pieces: bytearray | None = None
        """Of a message that comes in several frames."""
        self.waiting: list[str] | None = None
        """Whole messages that came while the intake was paused; while there are any, nothing is
        read."""

    def add(self, frame: Frame) -> str | None:
        """Return the message that `frame` ends, or None if it ends none.

        The protocol below has checked the order and the sum of the pieces.

        Raises:
            UnicodeDecodeError: the message is not UTF-8.
        """
        if frame.opcode not in _DATA:
            return None
        if frame.opcode is not Opcode.CONT:
            self._pieces = None
            if frame.fin:
                return bytes(frame.data).decode()
            self._pieces = bytearray(frame.data)
            return None
        if self._pieces is None:
            return None
        self._pieces += frame.data
        if not frame.fin:
            return None
        whole, self._pieces = self._pieces, None
        return whole.decode()

    def forget(self) -> None:
        """Drop a message that has begun: the rest of it will not come."""
        self._pieces = None
