"""Live rows: what moves in the journal is told to everybody who looks at it.

However many look, the journal is asked once a second, in one thread: what has moved, and how these
flows stand now. A viewer says which flows its page shows, and up to which entry; whatever has moved
since then is sent, also what moved before the stream began, or while it was interrupted. Streams
are Server-Sent Events, which browsers open again by themselves.

Source: the HTML standard, "Server-sent events".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from holdfast.console.answers import Wrong
from holdfast.console.page import Stream
from holdfast.console.viewers import Role

if TYPE_CHECKING:
    from holdfast.console.asked import Asked
    from holdfast.console.site import Console
    from holdfast.console.wire import GuardedRequest
    from holdfast_journal import Seen

EVERY: Final = 1.0
"""Seconds between two looks into the journal."""

ALIVE_EVERY: Final = 15
"""After how many looks sessions are looked at again, something is sent to everybody, and what is
about all flows is taken to have moved."""

LONGEST: Final = 300.0
"""Seconds after which a stream ends, to be opened again by whoever may still do that."""

MOST: Final = 500
"""How many streams there are at most."""

MOST_ROWS: Final = 500
"""How many flows one stream can be about."""

_ROWS: Final = re.compile(r"\d{1,18}\.\d{1,18}(?:,\d{1,18}\.\d{1,18})*")

MOVED: Final = b"event: moved\ndata: .\n\n"
"""Tells a page to load itself again."""


@frozen
class Moved:
    """A flow that may have moved."""

    seq: int
    """The number of its last entry."""
    row: bytes
    """It as an event, for viewers."""
    row_to_pick: bytes
    """And for those who may do something to flows."""


@define(eq=False)
class Watcher:
    """One stream; as Twisted's producer it hears whether its client takes what is sent.

    Args:
        request: its request.
        seqs: the number of the last entry that the page knows of each flow that it shows.
        rows: whether rows are sent; otherwise it is told only that something moved.
        picks: whether the viewer may do something to flows.
        all: whether it is about all flows.
        behind: whether it may have missed something.
    """

    request: GuardedRequest
    seqs: dict[int, int]
    rows: bool
    picks: bool
    all: bool
    behind: bool
    over: Deferred[None] = field(factory=Deferred)
    stopped: bool = field(default=False, init=False)

    def tell(self, found: Mapping[int, Moved], *, moved: bool) -> None:
        """Send what is news to this client."""
        if self.stopped:
            self.behind = True  # it is told how things stand when it reads again
            return
        news = [
            (flow, found[flow])
            for flow, seq in self.seqs.items()
            if flow in found and found[flow].seq != seq
        ]
        if self.rows and news:
            self.send(b"".join(each.row_to_pick if self.picks else each.row for _, each in news))
        elif news or (self.all and (moved or self.behind)):
            self.send(MOVED)
        self.seqs.update((flow, each.seq) for flow, each in news)
        self.behind = False

    def send(self, data: bytes) -> None:
        """Send some lines."""
        if not self.stopped:
            self.request.send_some(data)

    def end(self) -> None:
        """Let the stream end."""
        if not self.over.called:
            self.over.callback(None)

    def pauseProducing(self) -> None:
        """Send nothing: the client does not read."""
        self.stopped = True

    def resumeProducing(self) -> None:
        """Go on."""
        self.stopped = False

    def stopProducing(self) -> None:
        """Send nothing any more."""
        self.stopped = True


@define(eq=False)
class Live:
    """All streams of one console. Used in the reactor's thread.

    Args:
        console: that console.
        most: how many streams there are at most.
    """

    _console: Console
    most: int = MOST
    watchers: set[Watcher] = field(factory=set, init=False)
    _seen: Seen | None = field(default=None, init=False)
    _looks: int = field(default=0, init=False)
    _loop: LoopingCall | None = field(default=None, init=False)

    def add(self) -> None:
        """Let streams be asked for."""
        self._console.add([Stream("/live", self.serve)])

    async def serve(self, asked: Asked, console: Console, request: GuardedRequest) -> None:
        """Send what moves, until the client is gone, or some minutes are over.

        Answers 204 if there are too many streams: then a page does not move by itself.
        """
        seqs = {**_known(asked, "rows"), **_known(asked, "flow")}
        if len(self.watchers) >= self.most:
            request.setResponseCode(204)
            return
        again = "last-event-id" in asked.headers
        shows_all = bool(asked.one("all"))
        behind = bool(seqs) or again
        picks = asked.viewer.may(Role.OPERATOR)
        watcher = Watcher(request, seqs, bool(asked.one("rows")), picks, shows_all, behind)
        request.say("Content-Type", "text/event-stream")
        # The id comes back when the client opens the stream again.
        watcher.send(b"id: 1\n\n")
        request.begin_stream(watcher)
        ends = console.reactor.callLater(LONGEST, watcher.end)
        self.watchers.add(watcher)
        self._begin()
        try:
            await watcher.over
        finally:
            self.watchers.discard(watcher)
            request.end_stream()
            if ends.active():
                ends.cancel()

    def stop(self) -> None:
        """Look no more, and let all streams end."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        for watcher in [*self.watchers]:
            watcher.end()

    def _begin(self) -> None:
        if self._loop is None:
            self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
            self._loop.clock = self._console.reactor
            self._loop.start(EVERY)

    async def _look(self) -> None:
        if not self.watchers:
            self._seen = None
            return
        self._looks += 1
        aged = self._looks % ALIVE_EVERY == 0
        if aged:
            self._see_who_is_there()
        shown = {each for watcher in self.watchers for each in watcher.seqs}
        new = {each for watcher in self.watchers if watcher.behind for each in watcher.seqs}
        watchers = [*self.watchers]
        try:
            moved, found, self._seen = await self._console.in_thread(
                self._read, self._seen, shown, new
            )
        except Wrong:
            return  # the database does not answer, or much is asked; nothing is lost
        for watcher in watchers:
            if watcher in self.watchers:
                # That a worker is gone, for example, is no entry of a journal.
                watcher.tell(found, moved=moved or aged)

    def _see_who_is_there(self) -> None:
        for watcher in [*self.watchers]:
            if self._console.gate.viewer(watcher.request, acts=False) is None:
                watcher.end()
            else:
                watcher.send(b": \n\n")  # a connection that is dead is noticed by this

    def _read(
        self, seen: Seen | None, shown: Collection[int], new: Collection[int]
    ) -> tuple[bool, Mapping[int, Moved], Seen]:
        """Read what has moved of what is shown, and the flows of `new` streams; blocks."""
        from holdfast_journal import Filter

        desk = self._console.desk
        moved, seen = desk.journal.moved(seen)
        ids = {each for each in moved if each in shown} | {*new}
        rows = desk.journal.page(Filter(ids=ids), limit=len(ids)).rows if ids else ()
        found = {
            row.id: Moved(
                row.seq,
                _event(desk.row(row, picks=False)),
                _event(desk.row(row, picks=True)),
            )
            for row in rows
        }
        return bool(moved), found, seen


def _event(text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() if line.strip())
    return f"{lines}\n".encode()


def _known(asked: Asked, name: str) -> dict[int, int]:
    """Return the flows that an address names, with their last entries. Raises Wrong."""
    said = asked.one(name)
    if not said:
        return {}
    pairs = said.split(",")
    if len(pairs) > MOST_ROWS or _ROWS.fullmatch(said) is None:
        raise Wrong(400, f"{name}: this is not a list of flows")
    return {int(flow): int(seq) for flow, seq in (each.split(".") for each in pairs)}
