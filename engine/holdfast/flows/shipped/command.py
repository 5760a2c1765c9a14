"""The task "mint": run an operator's command, whose standard output is the credential."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.process import reapProcessHandlers

from holdfast.flows.tasks import Call, TaskFailed, task
from holdfast.transfer.text import LONGEST_ENCODED, LONGEST_TEXT, encoded_size, without_line_end

KEY_VARIABLE: Final = "HOLDFAST_IDEMPOTENCY_KEY"
"""The environment variable that is the same at every try of one credential."""

NAME_VARIABLE: Final = "HOLDFAST_NAME"
"""The environment variable that holds the name of the person whom the credential is for."""

SECRET_VARIABLES: Final = (b"HOLDFAST_KEY", b"HOLDFAST_HOOK_SECRET")
"""What a command does not inherit of our environment."""

TIMEOUT: Final = 60.0
"""Seconds that a command may take, unless the flow says otherwise."""

LONGEST_TIMEOUT: Final = 86_400.0
"""The greatest number of seconds that a flow can give a command."""


class _Command:
    """A command in a session of its own; when the command has ended, the whole session is killed.

    What counts is the end of the command itself: a process that it has started may keep the pipe
    open. A process that leaves the session on purpose, as a daemon does, keeps running.

    Raises:
        TaskFailed: the command could not be started.
    """

    def __init__(
        self, reactor: Any, words: list[str], environment: dict[bytes, bytes], *, heard: bool
    ) -> None:
        self._reactor = reactor
        self._heard = heard
        self._output = bytearray()
        self.done: Deferred[bytes] = Deferred(lambda _: self.kill())
        try:
            self._process = subprocess.Popen(
                [_encoded(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise TaskFailed(f"the command could not be started: {why}") from None
        pipe: Any = self._process.stdout  # not None: it was asked for
        self._pipe = pipe
        os.set_blocking(pipe.fileno(), False)
        reactor.addReader(self)
        # The reactor calls `reapProcess` whenever a child has ended.
        handlers: dict[int, Any] = reapProcessHandlers  # declared for Twisted's own class
        handlers[self._process.pid] = self
        self.reapProcess()

    def kill(self) -> None:
        """Kill the command, and everything that it has started."""
        if self._process.returncode is None:
            self._kill_group()
        self._close()

    def fail(self, why: str, *, final: bool = False) -> None:
        """End the try, and the command."""
        self.kill()
        if not self.done.called:
            self.done.errback(TaskFailed(why, final=final))

    # What the reactor needs of a reader.

    def fileno(self) -> int:
        """Return the pipe's descriptor."""
        return -1 if self._pipe.closed else self._pipe.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        """Name this in the reactor's own messages."""
        return "mint"

    def doRead(self) -> None:
        """Read what the command has printed, up to the longest text that can be sent."""
        while not self._pipe.closed:
            try:
                data = os.read(self._pipe.fileno(), 65_536)
            except BlockingIOError:
                return
            if not data:
                self._close()  # the command may keep running
                return
            if not self._heard:
                continue
            self._output += data
            if len(self._output) > LONGEST_TEXT + len("\r\n"):
                self.fail(f"the command printed more than {LONGEST_TEXT} bytes", final=True)

    def connectionLost(self, reason: object) -> None:
        """The reactor is about to end, or cannot watch the pipe."""
        self._close()

    # What the reactor needs of a process.

    def reapProcess(self) -> None:  # noqa: N802 - Twisted's name
        """See whether the command has ended."""
        process = self._process
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return
        # Until it is reaped, another process group cannot have its number.
        self._kill_group()
        status = process.wait()
        del reapProcessHandlers[process.pid]
        self.ended(status)

    def ended(self, status: int) -> None:
        """The command has ended: negative is a signal."""
        self.doRead()
        self._close()
        if self.done.called:
            return
        if status < 0:
            self.fail(f"the command died of signal {-status}")
        elif status:
            self.fail(f"the command's exit status was {status}")
        else:
            self.done.callback(bytes(self._output))

    def _kill_group(self) -> None:
        # Some systems refuse if only the dead command itself is left. All do if what is left runs
        # as another user, whose processes we may not kill.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        if not self._pipe.closed:
            self._reactor.removeReader(self)
            self._pipe.close()


# The command's own timeout is what counts: it comes first.
@task("mint", timeout=LONGEST_TIMEOUT + 60.0)
def mint(call: Call) -> Deferred[str]:
    """Run the command, without a shell, and return what it prints.

    The command's standard error is ours. It inherits our environment, except for the key that
    seals the journal, and has the idempotency key in HOLDFAST_IDEMPOTENCY_KEY and the person's name
    in HOLDFAST_NAME.
    """
    arguments = call.arguments
    seconds = float(arguments.get("timeout", TIMEOUT))
    variables = {KEY_VARIABLE: call.key}
    if "name" in arguments:  # not in the tasks of earlier releases
        variables[NAME_VARIABLE] = arguments["name"]
    return run(call.reactor, arguments["command"], variables, seconds).addCallback(_text)


def run(
    reactor: Any,
    words: list[str],
    variables: Mapping[str, str],
    seconds: float,
    *,
    heard: bool = True,
) -> Deferred[bytes]:
    """Run a command, without a shell, and return what it prints.

    Args:
        reactor: Twisted's reactor.
        words: the command and its arguments.
        variables: what its environment has beside ours, less our secrets.
        seconds: how long it may take.
        heard: whether what it prints is wanted, and so may not be too much.

    Raises:
        TaskFailed: it could not be started, its exit status was not 0, it took too long, or it
            printed too much.
    """
    # In UTF-8, as in the people file, whatever the locale.
    added = {_encoded(name): _encoded(value) for name, value in variables.items()}
    environment = {**os.environb, **added}
    for name in SECRET_VARIABLES:
        environment.pop(name, None)
    command = _Command(reactor, words, environment, heard=heard)
    if command.done.called:
        return command.done
    late = reactor.callLater(
        seconds, command.fail, f"the command was killed after {seconds:g} seconds"
    )

    def in_time(result: Any) -> Any:
        if late.active():
            late.cancel()
        return result

    return command.done.addBoth(in_time)


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def _text(output: bytes) -> str:
    """Return the credential: the output without the line end that most commands print."""
    try:
        printed = output.decode()
    except UnicodeDecodeError:
        raise TaskFailed("the command printed something that is not UTF-8") from None
    printed = without_line_end(printed)
    if not printed:
        raise TaskFailed("the command printed nothing")
    if len(printed.encode()) > LONGEST_TEXT:
        raise TaskFailed(f"the command printed more than {LONGEST_TEXT} bytes", final=True)
    if (size := encoded_size(printed)) > LONGEST_ENCODED:
        raise TaskFailed(
            f"what the command printed takes {size:,} bytes in a message (line ends and the like"
            f" count more than once); the limit is {LONGEST_ENCODED:,}",
            final=True,
        )
    return printed
