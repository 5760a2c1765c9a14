"""The moments at which a `holdfast` process can be made to die; the product knows nothing of them.

A moment is `PLACE:WHEN:OCCURRENCE`, such as `add:after:2`: WHEN is `before`, `during` or `after`,
and OCCURRENCE counts from 1 in the life of one process. The places are

- `upgrade`, `start`, `take`: the schema, the transaction that starts flows, the one that takes them
- `commit-KIND`: one event's part of a commit, named for the event. `before`: nothing is written;
  `during`: the rows are, the COMMIT is not; `after`: it is durable, and nothing that waits for it
  has been done
- `bind`, `allocate`, `claim`, `open`, `ping`, `add`, `release`, `close`: a frame to the server.
  `before`: not a byte of it has left; `after`: all of it is the kernel's
- `hear-welcome`, `hear-allocated`, `hear-claimed`, `hear-released`, `hear-closed`, `hear-pong`,
  `hear-own` (a message of ours, come back), `hear-pake`, `hear-version`, `hear-0` (the peer's):
  a frame from the server, read and not yet handled, or handled and not yet committed
- `task-NAME` (not begun, begun), `command-end` (a command that mints has ended), and
  `task-NAME-done` (its result, not yet handled, or handled and not yet committed)
- `rename`: a file that is written whole gets its name
- `send-from-N`, `receive-from-N`: a transfer begins, or goes on, at byte N (`before`, `after` all)
- `record`: a record of a file is sent; `write`: a piece of it is written, which is 32 KiB; `sync`:
  what was written is made durable, which is done behind each record here, and waited for
- `place`: a file or folder gets its name
- `over` (a flow's last entry is durable) and `leave` (the process lets go of the database)

`dilations` has those of a dilated wormhole.
"""

import contextlib
import functools
import json
import os
import signal
import threading
import time

import transfers


class Fate:
    """Counts moments, writes them down, and ends the process at the chosen one.

    `log` is a file to append to: every moment if `record`, and the last one in any case, as
    `died MOMENT`. `at` is a moment; `step` the number of the moment, whatever it is, that ends the
    process, counted from its start or from when it first comes to the place `since`; `seconds`
    the time from now after which it ends wherever it is. At each moment of `halts` it stops, by
    SIGSTOP, until somebody lets it go on.
    """

    def __init__(
        self, log, *, at=None, step=None, since=None, seconds=None, record=False, halts=()
    ):
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._at = at
        self._step = step
        self._since = since
        self._record = record
        self._halts = frozenset(halts)
        self._seen = {}
        self._count = 0
        # What is done last may come to other moments, which are none.
        self._turn = threading.RLock()
        self._last = False
        if seconds is not None:
            threading.Thread(target=self._after, args=(seconds,), daemon=True).start()

    def come_to(self, place, when, last=None):
        """The process is there; `last` is called if it is to die, just before it does."""
        with self._turn:
            if self._last:
                return
            key = f"{place}:{when}"
            self._seen[key] = occurrence = self._seen.get(key, 0) + 1
            if self._since in (None, place):
                self._since = None
                self._count += 1
            moment = f"{key}:{occurrence}"
            if self._record:
                self._write(moment)
            if moment == self._at or self._count == self._step:
                self._do_last(last)
                self._die(moment)
            if moment in self._halts:
                self._do_last(last)
                self._write(f"halted {moment}")
                # To this thread: it stops before it returns, and all others with it.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def _do_last(self, what):
        if what is not None:
            self._last = True
            what()
            self._last = False

    def _after(self, seconds):
        time.sleep(seconds)
        with self._turn:
            self._die("time")

    def _die(self, moment):
        self._write(f"died {moment}")
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()  # other threads may run until the signal is delivered

    def _write(self, line):
        os.write(self._log, f"{line}\n".encode())


def install(fate):
    """Put `fate` around everything that happens in this process from now on."""
    import holdfast.flows.engine.runner
    import holdfast.flows.shipped.command
    import holdfast.flows.tasks
    import holdfast_journal.sql
    import holdfast_journal.upkeep.opening

    journal = holdfast_journal.sql
    for name in ("upgrade", "_bring_forward"):
        around(fate, holdfast_journal.upkeep.opening, name, lambda *_: "upgrade")
    around(fate, journal.SqlJournal, "start_flows", lambda *_, **__: "start")
    around(fate, journal.SqlJournal, "take", lambda *_, **__: "take")
    around(fate, journal.SqlJournal, "close", lambda *_: "leave")
    install_mailbox(fate)
    tasks, runner = holdfast.flows.engine.executor.Executor, holdfast.flows.engine.runner.FlowRunner
    host = holdfast.flows.engine.host.FlowHost
    around(fate, tasks, "_begin", lambda _executor, _customer, task, **_: f"task-{task.name}")
    around(fate, holdfast.flows.shipped.command._Command, "ended", lambda *_: "command-end")
    around(fate, host, "task_done", lambda _host, task, _: f"task-{task.name}-done")
    around(fate, runner, "_finished", lambda *_: "over")
    _around_renames(fate)
    _around_commits(fate)
    transfers.install(fate, around)


def install_mailbox(fate):
    """Put `fate` around all frames to and from the mailbox server."""
    import holdfast.rendezvous.websocket
    import holdfast.shell.contact

    _around_reads(fate, holdfast.shell.contact.Contact)
    around(fate, holdfast.rendezvous.websocket.WebSocket, "send", _said, _to_the_kernel)


def around(fate, owner, name, place_of, last=None):
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        place = place_of(*args, **kwargs)
        if place is None:
            return function(*args, **kwargs)
        fate.come_to(place, "before")
        result = function(*args, **kwargs)
        fate.come_to(place, "after", None if last is None else functools.partial(last, *args))
        return result

    setattr(owner, name, wrapped)


def _said(_socket, text):
    return json.loads(text)["type"]


def _to_the_kernel(socket, _text):
    flush(None if socket._out is None else socket._out.transport)


def flush(transport):
    """Twisted writes in its next turn; a process that dies after a write has written."""
    for _ in range(1000):
        if transport is None or not (transport.dataBuffer or transport._tempDataBuffer):
            return
        with contextlib.suppress(OSError):
            transport.doWrite()


def _around_reads(fate, contact):
    """Frames that are read at once are handled at once, and committed together."""
    received = contact.received

    def receiving(self, texts):
        places = [place for text in texts if (place := _heard(self, text)) is not None]
        for place in places:
            fate.come_to(place, "before")
        received(self, texts)
        for place in places:
            fate.come_to(place, "after")

    contact.received = receiving


def _heard(contact, text):
    frame = json.loads(text)
    kind = frame["type"]
    if kind == "ack":
        return None
    if kind != "message":
        return f"hear-{kind}"
    return "hear-own" if frame["side"] == contact.exchange.side else f"hear-{frame['phase']}"


def _around_renames(fate):
    import holdfast.files

    class Named(type(holdfast.files.Path())):
        def replace(self, target):
            fate.come_to("rename", "before")
            result = super().replace(target)
            fate.come_to("rename", "after")
            return result

    holdfast.files.Path = Named


def _around_commits(fate):
    from holdfast_journal.commits.committer import Committer
    from holdfast_journal.commits.statements import Prepared

    commit, write = Committer.commit, Prepared.write
    under_way = threading.local()

    def come_to(places, when):
        for place in places:
            fate.come_to(place, when)

    def committing(self, commits):
        places = [f"commit-{entry.kind}" for each in commits for entry in each.entries]
        under_way.places = places
        come_to(places, "before")
        lost = commit(self, commits)
        come_to(places, "after")
        return lost

    def writing(self, connection):
        write(self, connection)
        come_to(under_way.places, "during")

    Committer.commit, Prepared.write = committing, writing
