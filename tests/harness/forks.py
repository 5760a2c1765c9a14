"""Starting programs: as forks of a warm Python where that makes no difference, which is quicker."""

import atexit
import contextlib
import errno
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

SERVER = Path(__file__).with_name("fork_server.py")

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


class Fork:
    """A running program, with what is used here of `subprocess.Popen`."""

    def __init__(self, pid: int, answers: int, pipes: Sequence[BinaryIO | None]) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = pipes
        self._answers = answers
        self._asking = threading.Lock()
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, or None: exit status, or minus the signal's number."""
        return self._ask(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        status = self._ask(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _ask(self, timeout: float | None) -> int | None:
        if self._status is None:
            answered = select.poll()
            answered.register(self._answers, select.POLLIN)
            if answered.poll(None if timeout is None else max(0, timeout) * 1000):
                with self._asking:
                    if self._status is None:
                        self._status = _number(self._answers)
                        os.close(self._answers)
        return self._status


class ForkServer:
    """A process that has imported everything, and what it forks: none of them outlives it.

    *interpreter* is the environment that it is started with. The imports are those of a process
    that all workers of pytest share.
    """

    def __init__(self, interpreter: Mapping[str, str]) -> None:
        self._control = _connection(interpreter)
        self._turn = threading.Lock()

    def start(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | str,
        streams: Sequence[int],
    ) -> tuple[int, int]:
        """Start a program on these streams; return its number and where to hear of its end."""
        wanted = {"words": list(words), "env": dict(env), "cwd": str(cwd)}
        ours, theirs = os.pipe()
        try:
            with self._turn:
                text = json.dumps(wanted).encode() + b"\n"
                sent = socket.send_fds(self._control, [text], [*streams, theirs])
                self._control.sendall(text[sent:])
        finally:
            os.close(theirs)
        return _number(ours), ours

    def close(self) -> None:
        """End it, and whatever it has started and still runs."""
        with self._control, contextlib.suppress(OSError):  # it may be gone
            self._control.shutdown(socket.SHUT_WR)
            self._control.recv(1)


def _connection(interpreter: Mapping[str, str]) -> socket.socket:
    """Connect to the process with the imports, and start it if nobody has done so."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    kind = hashlib.sha256(json.dumps(sorted(interpreter.items())).encode()).hexdigest()[:16]
    address = f"\0holdfast-forks-{run}-{kind}"
    while True:
        control = socket.socket(socket.AF_UNIX)
        # It may have ended just now, or just begin; then try again.
        with contextlib.suppress(ConnectionError):
            control.connect(address)
            if control.recv(1):
                return control
        control.close()
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(address)
            except OSError as found:
                if found.errno != errno.EADDRINUSE:
                    raise
            else:
                listener.listen()
                _started(listener, interpreter)


def _started(listener: socket.socket, interpreter: Mapping[str, str]) -> None:
    """Start it; nobody waits for its end, which comes when the last connection is closed."""
    listener.set_inheritable(True)
    streams = [(os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_RDWR, 0) for each in (0, 1)]
    os.posix_spawn(
        sys.executable,
        [sys.executable, str(SERVER), str(listener.fileno())],
        interpreter,
        file_actions=streams,
        setsid=True,
    )


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | str | None = None,
    stdin: int = DEVNULL,
    stdout: int = PIPE,
    stderr: int = PIPE,
    fresh: bool = False,
) -> "Fork | subprocess.Popen[bytes]":
    """Start a program in a session of its own.

    If it is a Python program of this environment, it is a fork; `fresh` gives it an interpreter
    of its own, where starting that is what a test is about.
    """
    words = [str(each) for each in command]
    arguments = None if fresh else _arguments(words)
    if arguments is None:
        return subprocess.Popen(
            words,
            env=env,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    with contextlib.ExitStack() as theirs:
        streams, pipes = [], []
        for number, wanted in enumerate((stdin, stdout, stderr)):
            stream, pipe = _stream(wanted, writing=number > 0)
            streams.append(stream)
            pipes.append(pipe)
            if stream != wanted:
                theirs.callback(os.close, stream)
        server = _server(_of_the_interpreter(env))
        pid, answers = server.start(arguments, env, cwd or Path.cwd(), streams)
    return Fork(pid, answers, pipes)


def _arguments(words: list[str]) -> list[str] | None:
    """Return the interpreter's arguments, if it is one of ours and the server knows them."""
    program, *arguments = words
    if program == sys.executable:
        known = arguments and (arguments[0] == "-c" or not arguments[0].startswith("-"))
        return arguments if known else None
    script = Path(program).parent == Path(sys.executable).parent
    return words if script and Path(program).read_bytes().startswith(b"#!") else None


def _of_the_interpreter(env: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What an interpreter goes by when it starts; the rest is the program's."""
    ours = ("PYTHON", "LC_", "LANG")
    return frozenset((name, value) for name, value in env.items() if name.startswith(ours))


_servers: dict[frozenset[tuple[str, str]], ForkServer] = {}
_starting = threading.Lock()


def _server(interpreter: frozenset[tuple[str, str]]) -> ForkServer:
    with _starting:
        if interpreter not in _servers:
            _servers[interpreter] = ForkServer(dict(interpreter))
        return _servers[interpreter]


@atexit.register
def close_all() -> None:
    """End all servers, and whatever they have started and still runs."""
    while _servers:
        _servers.popitem()[1].close()


def _stream(wanted: int, *, writing: bool) -> tuple[int, BinaryIO | None]:
    """Return a descriptor for the program, and our end of it if it is a pipe."""
    if wanted == DEVNULL:
        return os.open(os.devnull, os.O_WRONLY if writing else os.O_RDONLY), None
    if wanted != PIPE:
        return wanted, None
    reader, writer = os.pipe()
    if writing:
        return writer, os.fdopen(reader, "rb")
    return reader, os.fdopen(writer, "wb")


def _number(descriptor: int) -> int:
    """Read one of the server's answers."""
    text = b""
    while not text.endswith(b"\n"):
        chunk = os.read(descriptor, 1)
        assert chunk, "the fork server is gone"
        text += chunk
    return int(text)
