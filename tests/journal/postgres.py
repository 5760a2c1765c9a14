"""A private PostgreSQL server: in a temporary directory, on a socket file, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from attrs import define, field
from sqlalchemy import Engine, create_engine, text

from tests.harness.process import state
from tests.harness.waiting import until


def memory() -> Path | None:
    """A file system in memory, where there is one: there fsync costs nothing."""
    found = Path("/dev/shm")
    return found if found.is_dir() and os.access(found, os.W_OK) else None


def find_server() -> Path | None:
    """The folder of the newest installed server's programs, or None.

    Debian keeps them out of PATH, and in it the command that knows them all: hidden from there,
    PostgreSQL is not installed.
    """
    if (own := shutil.which("postgres")) is not None:
        return Path(own).resolve().parent
    if shutil.which("pg_ctlcluster") is None:
        return None
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = sorted(found, key=lambda path: [int(p) for p in path.parts[4].split(".")])
    return newest[-1].parent if newest else None


@define
class Server:
    """A running server; each call of `database` makes an empty database."""

    programs: Path
    folder: Path
    user: int | None
    """Whom to run as; None: ourselves."""
    durable: bool = False
    """Whether fsync is done, as it must be where it is not a test."""
    _numbers: Iterator[int] = field(factory=count)
    _engine: Engine | None = None
    """Where databases are made: a new connection for each would take longer than that."""

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the server's programs to its end."""
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            user=self.user,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout

    def database(self, template: str = "template1") -> str:
        """Make a database, empty or a copy of another; return its URL."""
        name = f"journal{next(self._numbers)}"
        if self._engine is None:
            self._engine = create_engine(
                f"postgresql+psycopg://holdfast@/postgres?host={self.folder}",
                isolation_level="AUTOCOMMIT",
                pool_pre_ping=True,
            )
        with self._engine.connect() as connection:
            version = connection.dialect.server_version_info or ()
            # Its files are copied, as before release 15, and not its pages by way of the log.
            how = "" if version < (15,) or self.durable else "STRATEGY file_copy"
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} {how}"))
        return f"postgresql://holdfast:hunter2@/{name}?host={self.folder}"

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server, and wait for that."""
        if self._engine is not None:
            self._engine.dispose()
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def kill9(self) -> None:
        """Kill the server with SIGKILL, and wait until its other processes have noticed."""
        file = self.folder / "data" / "postmaster.pid"
        pid, _, _ = file.read_text().partition("\n")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(pid), signal.SIGKILL)
        # They hold its shared memory, without which no server can be started.
        until(lambda: not any(map(state, [pid, *children])), "their end")
        # A process that has ended still has its number until somebody asks how it ended, and a new
        # server would take it for the old one.
        for each in (file, *self.folder.glob(".s.PGSQL.*.lock")):
            each.unlink()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        # No TCP: the socket file in our own folder cannot be in anybody's way. No fsync: what
        # these tests are about is the server's behaviour, not the disk's.
        fsync = "on" if self.durable else "off"
        options = f"-k {self.folder} -c listen_addresses= -c fsync={fsync} -c max_connections=60"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self.run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")


@contextmanager
def server(programs: Path, *, durable: bool = False) -> Iterator[Server]:
    """Run a server for the length of the block. It refuses to run as root, so root steps down.

    It keeps its data in memory, unless it is to be `durable`.
    """
    # A short path: a socket's name has room for about a hundred bytes.
    place = "/tmp" if durable else memory() or "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="holdfast-pg-", dir=place))
    user: int | None = None
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(folder, user, -1)
    made = Server(programs, folder, user, durable)
    try:
        arguments = ["-U", "holdfast", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        made.run("initdb", "-D", str(folder / "data"), *arguments)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise RuntimeError("there is no unprivileged user to run PostgreSQL as")
