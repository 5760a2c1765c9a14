"""A mailbox server in a child process, with a database that outlives it."""

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.harness.closing import Closing
from tests.harness.process import BIN, Child, Finished
from tests.harness.waiting import DEADLINE, until

Row = dict[str, Any]


@frozen
class Tables:
    """All rows of a server's database."""

    nameplates: list[Row]
    nameplate_sides: list[Row]
    mailboxes: list[Row]
    mailbox_sides: list[Row]
    messages: list[Row]

    @property
    def empty(self) -> bool:
        """Whether nothing is left allocated."""
        return not (self.nameplates or self.mailboxes or self.messages)

    def nameplates_of(self, codes: Iterable[str]) -> list[str]:
        """Return which nameplates of these codes are still allocated.

        A process that is killed between asking for a nameplate and hearing which one leaves
        it allocated, under no code that anybody knows, until the server forgets it: after such
        kills ask this, and not `empty`.
        """
        known = {code.split("-")[0] for code in codes}
        return sorted({row["name"] for row in self.nameplates} & known)

    def __str__(self) -> str:
        names = [row["name"] for row in self.nameplates]
        phases = [(row["side"], row["phase"]) for row in self.messages]
        return f"nameplates {names}, {len(self.mailboxes)} mailboxes, messages {phases}"


class MailboxServer(Closing):
    """A mailbox server on a loopback port that stays the same from one life to the next.

    It is the stock server with its stock settings (`expiration` and `sweep`, in seconds,
    replace them; `slow_commit` seconds pass at every commit), or `holdfast mailbox --keep KEEP`
    if `keep` is given. It begins as a fork, as every `Child` does, unless it is to be `fresh`. The
    database is `folder/mailbox.sqlite`. As a context manager it runs inside the block.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: str | None = None,
        expiration: float | None = None,
        sweep: float | None = None,
        motd: str | None = None,
        slow_commit: float | None = None,
        fresh: bool = False,
    ) -> None:
        self.database = folder / "mailbox.sqlite"
        self._port = _ReservedPort()
        self.port = self._port.number
        self.url = f"ws://127.0.0.1:{self.port}/v1"
        self._command = self._words(keep, expiration, sweep)
        if motd is not None:
            self._command += ["--motd", motd]
        if slow_commit is not None:
            self._command += ["--slow-commit", str(slow_commit)]
        self._fresh = fresh
        self._child: Child | None = None
        self._said_before = ""

    def __enter__(self) -> "MailboxServer":
        self.start()
        return self

    def close(self) -> None:
        """Kill it, and give its port back."""
        try:
            if self._child is not None:
                self._child.close()
        finally:
            self._port.close()

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._there().pid

    @property
    def said(self) -> str:
        """All that it wrote to its standard output and error, in all its lives."""
        now = "" if self._child is None else self._child.out + self._child.err
        return self._said_before + now

    def start(self) -> None:
        """Start it on its database; return once it listens."""
        assert not self.running, "it runs already"
        if self._child is not None:
            self._child.close()
            self._said_before = self.said
        self._child = Child(self._command, stdin=subprocess.PIPE, fresh=self._fresh)
        self._child.wait_for(r"^mailbox server: ws://")

    def stop(self) -> Finished:
        """Stop it as a service manager does, with SIGTERM; return how it ended."""
        child = self._there()
        child.terminate()
        return child.wait()

    def kill9(self) -> None:
        """Kill it with SIGKILL."""
        self._there().kill9()

    def restart(self) -> None:
        """Kill it with SIGKILL and start it again."""
        self.kill9()
        self.start()

    def pause(self) -> None:
        """Let it stand still: connections stay, and new ones are accepted by the kernel alone."""
        self._there().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._there().signal(signal.SIGCONT)

    def tables(self) -> Tables:
        """Read its database, whether it runs or not."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            # One transaction, so that the tables belong to one moment.
            connection.execute("BEGIN")
            return Tables(
                **{
                    field.name: [
                        dict(row) for row in connection.execute(f"SELECT * FROM {field.name}")
                    ]
                    for field in Tables.__attrs_attrs__
                }
            )

    def wait_until_empty(self, timeout: float = DEADLINE) -> None:
        """Wait until nothing is left allocated; fail with what is."""
        until(lambda: self.tables().empty, lambda: f"an empty server: {self.tables()}", timeout)

    def wait_until_free(self, codes: Iterable[str], timeout: float = DEADLINE) -> None:
        """Wait until no nameplate of these codes, and no message, is left on it."""
        known = list(codes)

        def free() -> bool:
            tables = self.tables()
            return not (tables.messages or tables.nameplates_of(known))

        until(free, lambda: f"all codes free: {self.tables()}", timeout)

    def _there(self) -> Child:
        assert self._child is not None, "it was never started"
        return self._child

    def _words(
        self, keep: str | None, expiration: float | None, sweep: float | None
    ) -> list[str | Path]:
        if keep is not None:
            assert expiration is None and sweep is None, "these are for the stock server"
            listen = f"127.0.0.1:{self.port}"
            return [
                *(BIN / "holdfast", "mailbox", "--listen", listen),
                *("--database", self.database, "--keep", keep),
            ]
        words: list[str | Path] = [
            *(sys.executable, Path(__file__).with_name("stock_mailbox.py")),
            *("--port", str(self.port), "--database", self.database),
        ]
        if expiration is not None:
            words += ["--expiration", str(expiration)]
        if sweep is not None:
            words += ["--sweep", str(sweep)]
        return words


class _ReservedPort:
    """A loopback port that the system chose and that stays ours while no server has it.

    The socket is bound but never listens, so connections are refused, as they must be when
    the server is dead; and the server may bind it too, both having SO_REUSEADDR. Without it
    the system could give the port away meanwhile, even to a client that tries to connect to
    it: that client would then be connected to itself.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()
