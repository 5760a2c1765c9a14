"""Run as a program: starts Python programs as forks of itself, with their imports already made.

    fork_server.py DESCRIPTOR

DESCRIPTOR is a socket that listens. Each process of the tests that connects to it gets a fork of
its own that serves it, so that all of them share the imports; when none is connected any more, the
program ends.

Each program to start comes as a line of JSON, with four descriptors: its standard streams, and a
pipe for the answers, which are its process number and, when it has ended, its status. When the
connection is closed, whatever was started by it and still runs is killed. `forks` is the other
side.

A program that is started so is what it would be otherwise: it leads a session of its own, has the
arguments, environment, folder and streams that it was given and no other descriptor. Only its
imports are quicker, and much of what comes first: a `holdfast` costs a tenth. And it makes
databases as `migrated` does, and compiles SQL as `compiled` does.
"""

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import types
from pathlib import Path

import compiled
import migrated
import warming

MODULES = (
    *("alembic.command", "alembic.config", "sqlalchemy.dialects.sqlite.pysqlite", "psycopg"),
    *("twisted.internet.epollreactor", "twisted.internet.endpoints", "rich.table"),
    *("argparse", "platformdirs.unix"),
    *("wormhole", "wormhole.cli.cli", "wormhole_mailbox_server.server"),
    *("holdfast.api", "holdfast_journal.sql", "holdfast_journal.doctor"),
    *("holdfast.flows.engine.engine", "holdfast.flows.shipped.command"),
    *("holdfast.flows.shipped.writing", "holdfast.operating.service"),
    *("holdfast.operating.clock", "holdfast.operating.codes_in_use", "holdfast.operating.limits"),
    *("holdfast.cli.logs", "holdfast.cli.one_flow", "holdfast.cli.progress"),
    *("holdfast.flows.shipped.sending", "holdfast.flows.shipped.receiving"),
    *("holdfast.flows.shipped.send_file", "holdfast.flows.shipped.measuring"),
    *("holdfast.cli.asking", "holdfast.cli.handing_over", "holdfast.cli.parcels"),
    *("holdfast.cli.transfers", "holdfast.operating.spooling"),
    *("wormhole.transit", "tqdm", "zipfile"),
    *("wormhole._dilation._noise", "holdfast.shell.dilating"),
    *("resource", "encodings.idna", "twisted.internet.default", "rich._emoji_codes"),
    *("holdfast.flows.shipped.provision", "holdfast.flows.shipped.receive"),
    *("holdfast.flows.shipped.verifying", "holdfast.flows.shipped.hooking"),
    *("holdfast.operating.health", "holdfast.operating.own_flows", "holdfast.operating.one_flow"),
    *("holdfast.operating.exposure", "holdfast.operating.rules", "holdfast.operating.bulk"),
    *("holdfast.cli.serving", "holdfast.cli.sending", "holdfast.cli.flow_table"),
    *("holdfast.cli.prompting", "holdfast.server.service", "holdfast.cli.many"),
    *("holdfast.flows.shipped.provision_file", "holdfast.flows.shipped.ssh"),
    *("holdfast.flows.shipped.tahoe", "holdfast.flows.shipped.signing"),
    *("holdfast.operating.descriptor_store", "holdfast.transfer.public_keys"),
    *("holdfast.operating.tasks", "holdfast.operating.facts"),
    *("holdfast.cli.errand", "holdfast.cli.flow_facts", "holdfast.cli.flow_documents"),
    *("wormhole.cli.welcome", "humanize", "zipstream"),
    *("multiprocessing.synchronize", "qrcode"),
)
"""What programs import while they run, and forks may share: not the reactor, which each makes."""


STREAMS = (sys.stdin, sys.stdout, sys.stderr)
"""Those of the server itself."""


def preload():
    """Import all this, and each command of `holdfast`.

    Return what holds a stream of ours since it was imported: module, name, number of the stream.
    """
    for name in MODULES:
        importlib.import_module(name)
    from holdfast.cli.main import COMMANDS, holdfast

    for name in COMMANDS:
        holdfast.get_command(None, name)
    compiled.install()
    migrated.install()
    migrated.learn()
    warming.make_converters()
    warming.run_a_flow()
    assert "twisted.internet.reactor" not in sys.modules
    holders = [
        (module, name, STREAMS.index(value))
        for module in tuple(sys.modules.values())
        for name, value in tuple(vars(module).items())
        if module is not sys and any(value is each for each in STREAMS)
    ]
    # Last: each fork would copy the pages of what a collection looks at.
    gc.collect()
    gc.freeze()
    gc.enable()
    return holders


def accept(listener):
    """Return the connection to serve, in a fork for each that comes; at the end, None."""
    wake, wakes = woken_by_children()
    there = 0
    while True:
        ready, _, _ = select.select([listener, wake], [], [])
        if listener in ready:
            control, _ = listener.accept()
            if not os.fork():
                signal.set_wakeup_fd(-1)
                os.close(wake)
                os.close(wakes)
                return control
            control.close()
            there += 1
        if wake in ready:
            os.read(wake, 4096)
            while there and os.waitpid(-1, os.WNOHANG)[0]:
                there -= 1
            if not there:
                return None


def woken_by_children():
    """Return a pipe that can be read when a child has ended."""
    wake, wakes = os.pipe()
    for each in (wake, wakes):
        os.set_blocking(each, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake, wakes


class Server:
    """Forks programs as it is told to, and tells of their ends."""

    def __init__(self, control):
        self._control = control
        self._answers = {}  # by process number
        self._wake, self._wakes = woken_by_children()

    def serve(self):
        """Return what to be, in each fork; in the server itself, None at the end."""
        while True:
            ready, _, _ = select.select([self._control, self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._control in ready:
                wanted = self._hear()
                if wanted is None:
                    self._kill_all()
                    return None
                if self._fork(wanted):
                    return wanted

    def _hear(self):
        text, descriptors = b"", []
        while not text.endswith(b"\n"):
            chunk, received, _, _ = socket.recv_fds(self._control, 65536, 4)
            if not chunk:
                return None
            text += chunk
            descriptors += received
        return json.loads(text) | {"descriptors": descriptors}

    def _fork(self, wanted):
        *streams, answers = wanted["descriptors"]
        pid = os.fork()
        if not pid:
            # Whoever knows its number may kill its group.
            os.setsid()
            self._answer(answers, os.getpid())
            self._let_go(answers)
            return True
        for each in streams:
            os.close(each)
        self._answers[pid] = answers
        return False

    def _let_go(self, answers):
        """Leave nothing of the server in a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for each in (self._wake, self._wakes, answers, *self._answers.values()):
            os.close(each)

    def _reap(self):
        while self._answers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            answers = self._answers.pop(pid)
            self._answer(answers, os.waitstatus_to_exitcode(status))
            os.close(answers)

    def _answer(self, descriptor, number):
        # Nobody may ask any more.
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, b"%d\n" % number)

    def _kill_all(self):
        for pid in self._answers:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        while self._answers:
            pid, _ = os.wait()
            del self._answers[pid]


def become(wanted, holders):
    """Make this process the one that is wanted; return its program.

    `holders` are what `preload` returned: they get the streams that this process has.
    """
    *streams, _ = wanted["descriptors"]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    time.tzset()
    sys.stdin = sys.__stdin__ = stream(sys.stdin, 0)
    sys.stdout = sys.__stdout__ = stream(sys.stdout, 1)
    sys.stderr = sys.__stderr__ = stream(sys.stderr, 2)
    for module, name, number in holders:
        setattr(module, name, (sys.stdin, sys.stdout, sys.stderr)[number])
    sys.orig_argv = [sys.executable, *wanted["words"]]
    return program(*wanted["words"])


def stream(old, number):
    """Return a standard stream as the interpreter makes it."""
    unbuffered = old.write_through
    mode, size = ("wb", 0 if unbuffered else -1) if number else ("rb", -1)
    binary = os.fdopen(number, mode, size, closefd=False)
    getattr(binary, "raw", binary).name = old.name
    made = io.TextIOWrapper(
        binary,
        encoding=old.encoding,
        errors=old.errors,
        line_buffering=not unbuffered and (number == 2 or binary.isatty()),
        write_through=unbuffered,
    )
    made.mode = old.mode
    return made


def program(first, *words):
    """Return the code that these arguments of the interpreter mean, and make room for it."""
    if first == "-c":
        text, *words = words
        name, sys.path[0] = "<string>", ""
        sys.argv = ["-c", *words]
    else:
        name, text = first, Path(first).read_bytes()
        sys.path[0] = str(Path(first).resolve().parent)
        sys.argv = [first, *words]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if first != "-c":
        main.__file__ = first
    return compile(text, name, "exec", dont_inherit=True), main.__dict__


def run(code, namespace):
    """Run the program, and end as the interpreter would.

    What it would do last is to take all modules apart, which costs a fork more than all the rest.
    What that could tell is told: of threads, functions for the exit, garbage and unwritten output.
    """
    status = 0
    try:
        exec(code, namespace)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    threading._shutdown()
    atexit._run_exitfuncs()
    namespace.clear()
    gc.collect()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)  # the interpreter finds the same, and says so
    os._exit(status & 0xFF)


def main():
    # Nearly all that is imported stays, so there is little to collect.
    gc.disable()
    number = int(sys.argv[1])
    # A shell may have left descriptors open to whatever it starts.
    for each in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if each > 2 and each != number:
            with contextlib.suppress(OSError):  # that of the list itself is gone
                os.close(each)
    with socket.socket(fileno=number) as listener:
        holders = preload()
        control = accept(listener)
    if control is None:
        return
    with control:
        control.sendall(b"\n")
        wanted = Server(control).serve()
    if wanted is not None:
        run(*become(wanted, holders))


if __name__ == "__main__":
    main()
