"""The task "mint": run an operator's command, whose standard output is the credential."""

from __future__ import annotations

import os
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from holdfast.flows.tasks import Call, TaskFailed, task
from holdfast.flows.text import LONGEST_TEXT, without_line_end

KEY_VARIABLE: Final = "HOLDFAST_IDEMPOTENCY_KEY"
"""The environment variable that is the same at every try of one credential."""


class _Collector(ProcessProtocol):
    """Collects the output of a command, and no more of it than can be sent."""

    transport: Any  # an IProcessTransport

    def __init__(self) -> None:
        self._output = bytearray()
        self.done: Deferred[bytes] = Deferred(self._cancelled)

    def connectionMade(self) -> None:
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self._output += data
        if len(self._output) > LONGEST_TEXT + 2:
            self._kill()
            self._fail(f"the command printed more than {LONGEST_TEXT} bytes", final=True)

    def processEnded(self, reason: Failure) -> None:
        if self.done.called:
            return
        problem = reason.value
        if isinstance(problem, ProcessTerminated):
            if problem.signal is not None:
                self._fail(f"the command died of signal {problem.signal}")
            else:
                self._fail(f"the command's exit status was {problem.exitCode}")
            return
        self.done.callback(bytes(self._output))

    def _fail(self, why: str, *, final: bool = False) -> None:
        if not self.done.called:
            self.done.errback(TaskFailed(why, final=final))

    def _kill(self) -> None:
        if self.transport.pid is not None:
            self.transport.signalProcess("KILL")

    def _cancelled(self, _: Deferred[bytes]) -> None:
        self._kill()


@task("mint")
def mint(call: Call) -> Deferred[str]:
    """Run the command, without a shell, and return what it prints.

    The command's standard error is ours.  It inherits our environment, except for the key that
    seals the journal, and has the idempotency key in HOLDFAST_IDEMPOTENCY_KEY.
    """
    command: list[str] = call.arguments["command"]
    environment = {**os.environ, KEY_VARIABLE: call.key}
    environment.pop("HOLDFAST_KEY", None)
    collector = _Collector()
    call.reactor.spawnProcess(
        collector,
        command[0],
        command,
        env=environment,
        childFDs={0: "w", 1: "r", 2: 2},
    )
    return collector.done.addCallback(_text)


def _text(output: bytes) -> str:
    """Return the credential: the output without the line's end that most commands print."""
    try:
        printed = output.decode()
    except UnicodeDecodeError:
        raise TaskFailed("the command printed something that is no UTF-8") from None
    printed = without_line_end(printed)
    if not printed:
        raise TaskFailed("the command printed nothing")
    if len(printed.encode()) > LONGEST_TEXT:
        raise TaskFailed(f"the command printed more than {LONGEST_TEXT} bytes", final=True)
    return printed
