"""Run as a program: the `holdfast` command, in a process that kills itself at a chosen moment.

    victim.py --log FILE --kill-at add:after:2 provision people.csv --codes codes.csv
    victim.py --log FILE --record provision people.csv --codes codes.csv
    victim.py --nursery

The moments, and how they are put around the product, are in `moments`. The last form is for many
short lives: it imports everything once and starts each victim as a fork, so that a life costs a
tenth of a second. It reads a line of JSON for each (see `tests.harness.nursery`) and answers with
one when it ends.
"""

import argparse
import gc
import json
import os
import select
import signal
import sys
import traceback


def run(arguments, fate):
    """Be the `holdfast` command, under this fate."""
    import failing_output
    import moments

    moments.install(moments.Fate(**fate))
    failing_output.install(arguments[0])
    sys.argv = ["holdfast", *arguments]
    from holdfast.cli.main import main

    main()


def preload():
    """Import what the command will import, and nothing that a fork must not share."""
    import importlib

    for name in (
        *("alembic.command", "alembic.runtime.migration", "sqlalchemy.dialects.sqlite.pysqlite"),
        *("twisted.internet.epollreactor", "twisted.internet.endpoints", "rich.table"),
        *(f"holdfast.flows.{each}" for each in ("engine.engine", "shipped.receive")),
        *("holdfast.flows.shipped.writing", "holdfast.operating.one_flow"),
        *(f"holdfast.cli.commands.{each}" for each in COMMANDS),
        *("holdfast.cli.progress", "holdfast_journal.sql", "moments"),
    ):
        importlib.import_module(name)
    assert "twisted.internet.reactor" not in sys.modules
    gc.collect()
    gc.freeze()


COMMANDS = ("provision", "run", "status", "log", "cancel", "retry", "send", "receive")


class Nursery:
    """Forks victims as it is told to, and tells of their ends."""

    def __init__(self):
        self._ids = {}
        self._wake, wake = os.pipe()
        for each in (self._wake, wake):
            os.set_blocking(each, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self):
        """Until standard input ends; then nobody is left."""
        buffer = b""
        while True:
            ready, _, _ = select.select([0, self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if 0 in ready:
                chunk = os.read(0, 65536)
                if not chunk:
                    break
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._start(json.loads(line))
        for pid in self._ids:
            os.kill(pid, signal.SIGKILL)

    def _reap(self):
        while self._ids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            end = {"id": self._ids.pop(pid), "status": os.waitstatus_to_exitcode(status)}
            print(json.dumps(end), flush=True)

    def _start(self, wanted):
        pid = os.fork()
        if not pid:
            self._live(wanted)
        self._ids[pid] = wanted["id"]
        print(json.dumps({"id": wanted["id"], "pid": pid}), flush=True)

    def _live(self, wanted):
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for number, path in enumerate((os.devnull, wanted["out"], wanted["err"])):
                flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
                descriptor = os.open(path, flags, 0o600)
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(wanted["env"])
            os.chdir(wanted["cwd"])
            run(wanted["arguments"], wanted["fate"])
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except KeyboardInterrupt:  # before the command was there to answer it
            status = 130
        except BaseException:  # noqa: BLE001 - a child that is forked must not come back
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nursery", action="store_true")
    parser.add_argument("--log", default=os.devnull)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--kill-at", metavar="PLACE:WHEN:OCCURRENCE")
    parser.add_argument("--kill-step", type=int, metavar="N")
    parser.add_argument("--since", metavar="PLACE", help="where --kill-step begins to count")
    parser.add_argument("--kill-after", type=float, metavar="SECONDS")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.nursery:
        preload()
        Nursery().serve()
        return
    fate = {"at": given.kill_at, "step": given.kill_step, "seconds": given.kill_after}
    fate |= {"log": given.log, "record": given.record, "since": given.since}
    run(given.arguments, fate)


if __name__ == "__main__":
    main()
