"""What passes over one connection, from its beginning to its end."""

from __future__ import annotations

import os

from holdfast.core.frames import Add, CloseMailbox, Frame
from holdfast.core.wanted import Said
from holdfast.rendezvous.websocket import WebSocket
from holdfast.rendezvous.wire import write
from holdfast.shell.news import News


class Conversation:
    """One connection: what was said on it, and whether more can be."""

    __slots__ = (
        "_link",
        "_news",
        "_open",
        "fetching",
        "has_added",
        "has_closed",
        "hurried",
        "lately",
        "others",
        "said",
        "welcomed",
    )

    def __init__(self, link: WebSocket, news: News) -> None:
        self._link = link
        self._news = news
        self._open = True
        self.has_added = False
        """Whether a message was given to the connection, and does not wait for its commit."""
        self.has_closed = False
        """Whether our closing was given to the connection, and does not wait for its commit."""
        self.welcomed = False
        self.lately = False
        """Whether the server cannot have forgotten us in its usual way."""
        self.said = Said()
        self.others = 0
        """How many messages of other sides the mailbox has shown."""
        self.fetching = False
        """Whether messages that the mailbox lacks are being looked up."""
        self.hurried = False
        """Whether it was dropped for another one, which is to follow at once."""

    def send(self, frames: tuple[Frame, ...]) -> None:
        """Send, unless the connection is gone: then the next one will derive them again."""
        for frame in frames:
            if self._open:
                self.has_added |= isinstance(frame, Add)
                self.has_closed |= isinstance(frame, CloseMailbox)
                self._link.send(write(frame, os.urandom(2).hex()))
                self._news.sent(frame)

    @property
    def is_open(self) -> bool:
        """Whether more can be said."""
        return self._open

    @property
    def is_paused(self) -> bool:
        """Whether what the server says waits, because it could not be made durable."""
        return self._open and self._link.is_paused

    def drop(self, why: str) -> None:
        """Cut the connection: nothing will come of it."""
        if self._open:
            self._link.abort(why)

    def end(self) -> None:
        """Nothing can be sent any more."""
        self._open = False
