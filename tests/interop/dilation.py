"""Our end of a dilated wormhole in the test process, which talks streams with a stock peer."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from twisted.internet import reactor as loop
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

import holdfast
from holdfast.dilation.manager import Manager
from tests.harness import reactor
from tests.harness.streams import APPID, Stream, Talk, kind_of_talk
from tests.harness.waiting import DEADLINE


class OurEnd:
    """It begins at once; `talks` waits for the end of all streams, and `leave` closes it.

    Args:
        relay_url: the mailbox server.
        code: the other end has it too.
        streams: what is said.
        end: which of their ends this is.
        side: our name in `please`; decides who leads.
        delegated: whether a delegate hears of it, instead of Deferreds.
        options: of `dilate`.
    """

    def __init__(
        self,
        relay_url: str,
        code: str,
        streams: Iterable[Stream],
        *,
        end: str = "a",
        side: str | None = None,
        delegated: bool = False,
        **options: Any,
    ) -> None:
        self._end = end
        self._left = {stream.name: stream for stream in streams}
        self._talks: dict[str, Any] = {}
        self._all = threading.Event()
        self.dilated: Any = None
        self._closed: Deferred[Any] = Deferred()
        reactor.call(self._begin, relay_url, code, side, delegated, options)

    def talks(self, timeout: float = DEADLINE) -> dict[str, Any]:
        """Wait until all streams have ended; return what became of them."""
        assert self._all.wait(timeout), f"missing: {[*self._left]}; {self._talks}"
        return self._talks

    def leave(self) -> Any:
        """Close the wormhole; return how it ended."""
        return reactor.run(self._leave)

    # The delegate.

    def wormhole_dilated(self, dilated: Any) -> None:
        assert dilated is self.dilated
        self._talk()

    def wormhole_closed(self, result: Any) -> None:
        self._closed.callback(result)

    def _begin(
        self, relay_url: str, code: str, side: str | None, delegated: bool, options: dict[str, Any]
    ) -> None:
        begin = Manager.begin
        if side is not None:
            Manager.begin = staticmethod(lambda _: begin(side))  # type: ignore[assignment]
        try:
            wormhole: Any = holdfast.create(
                APPID, relay_url, loop, delegate=self if delegated else None
            )
            self._wormhole = wormhole
            wormhole.set_code(code)
            self.dilated = wormhole.dilate(**options)
        finally:
            Manager.begin = begin  # type: ignore[method-assign]
        self._delegated = delegated
        if not delegated:
            self._talk()

    def _talk(self) -> None:
        for stream in tuple(self._left.values()):
            factory = Factory.forProtocol(lambda stream=stream: self._made(stream))
            factory.noisy = False
            if stream.opener == self._end:
                self.dilated.connector_for(stream.name).connect(factory)
            else:
                self.dilated.listener_for(stream.name).listen(factory)

    def _made(self, stream: Stream) -> Talk:
        talk = kind_of_talk(stream)(stream, self._end, loop, self._ended)
        talk.says_lost = True
        return talk

    def _ended(self, talk: Talk) -> None:
        self._talks[talk.stream.name] = talk.outcome
        del self._left[talk.stream.name]
        if not self._left:
            self._all.set()

    async def _leave(self) -> Any:
        closed = self._wormhole.close()
        return await (self._closed if self._delegated else closed)
