"""Stopping a reactor when a signal asks for it: once, even if the signal is repeated."""

from __future__ import annotations

import signal
from typing import Any

from attrs import define, field


@define(eq=False)
class Stopping:
    """Stops the reactor, and ignores further requests while it is stopping.

    Twisted's own handlers stop the reactor at every signal, and print a traceback at the second.
    """

    _reactor: Any
    _begun: bool = field(default=False, init=False)

    def heed_signals(self) -> None:
        """Stop at SIGINT and SIGTERM; call it in the running reactor, in the main thread."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: self._reactor.callFromThread(self.stop))

    def stop(self) -> None:
        """Stop the reactor, unless that has begun."""
        if not self._begun:
            self._begun = True
            self._reactor.stop()
