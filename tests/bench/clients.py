"""The programs that send and receive files, as they are called, and what each used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, field, frozen

from tests.harness.process import environment
from tests.harness.waiting import DEADLINE, until

CODE = re.compile(r"\b\d+-[a-z]+-[a-z]+\b")
OUTPUT = ".output.txt"
LOOK_EVERY = 0.02
"""Seconds between two looks at a process."""


@frozen
class Place:
    """Where a transfer happens: the servers, and a folder for each of the two."""

    mailbox: str
    relay: str
    """As host:port."""
    direct: bool
    sender: Path
    receiver: Path
    state: Path
    """Where what the programs keep for themselves is, from one transfer to the next."""


@frozen
class Client:
    """A program: the words that send a path, and those that receive under a code."""

    name: str
    send: Callable[[Place, Path], Sequence[str | Path]] = field(repr=False)
    receive: Callable[[Place, str], Sequence[str | Path]] = field(repr=False)


def stock(program: Path) -> Client:
    """The stock Python client."""

    def words(place: Place, *more: str | Path) -> Sequence[str | Path]:
        direct = () if place.direct else ("--no-listen",)
        servers = ("--relay-url", place.mailbox, "--transit-helper", f"tcp:{place.relay}")
        return [program, *servers, more[0], "--hide-progress", *direct, *more[1:]]

    return Client(
        "wormhole",
        lambda place, path: words(place, "send", path),
        lambda place, code: words(place, "receive", "--accept-file", code),
    )


def william(hosts: Path) -> Client | None:
    """The Go client, where it is installed and can be given a table of hosts; otherwise None.

    It knows only the public relay, by its name and port, and does not send if that cannot be
    reached: so `hosts` is its `/etc/hosts`, in a namespace of its own.
    """
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    inside = ("unshare", "--mount", "--map-root-user", "sh", "-c", script, hosts)
    program = shutil.which("wormhole-william")
    if program is None or not shutil.which("unshare"):
        return None
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        return None
    return Client(
        "wormhole-william",
        lambda place, path: [
            *(*inside, program, "--relay-url", place.mailbox, "send", "--hide-progress", path)
        ],
        lambda place, code: [
            *(*inside, program, "--relay-url", place.mailbox, "receive", "--hide-progress", code)
        ],
    )


def holdfast(*program: str | Path) -> Client:
    """Ours, by the installed command or by another way to start it."""
    command = program or (Path(sys.executable).with_name("holdfast"),)

    def servers(place: Place) -> Sequence[str | Path]:
        return ("--relay", place.mailbox, "--transit", f"tcp:{place.relay}")

    def direct(place: Place) -> Sequence[str]:
        return () if place.direct else ("--no-listen",)

    return Client(
        "Holdfast",
        lambda place, path: [*command, "send", path, "--again", *servers(place), *direct(place)],
        lambda place, code: [
            *(*command, "receive", code, "--accept", *servers(place), *direct(place))
        ],
    )


@define(eq=False)
class Running:
    """A program that runs, and what it used when it has ended."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    begun: float
    cpu: float = 0
    """Seconds, of the user and of the system."""
    memory: float = 0
    """The most that was resident at a time, in MB."""
    private: float = 0
    """The most of it that was in no file, in MB."""
    ended: float = 0

    @property
    def said(self) -> str:
        return (self.folder / OUTPUT).read_text(errors="replace")

    def code(self) -> str:
        """The code that a sender shows."""

        def shown() -> bool:
            assert self.process.poll() is None or CODE.search(self.said), self.said[-2000:]
            return CODE.search(self.said) is not None

        until(shown, lambda: f"a code of {self.name}: {self.said[-2000:]}", DEADLINE * 4)
        found = CODE.search(self.said)
        assert found is not None
        return found[0]

    def look(self) -> bool:
        """See what it uses, and whether it has ended now."""
        # Not what wait4 says: that counts the memory of whoever started the process, too.
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        if "VmHWM" in lines:  # it is not a zombie
            self.memory = max(self.memory, int(lines["VmHWM"].split()[0]) * 1024 / 1e6)
            self.private = max(self.private, int(lines["RssAnon"].split()[0]) * 1024 / 1e6)
        pid, code, used = os.wait4(self.process.pid, os.WNOHANG)
        if pid == 0:
            return False
        self.ended = time.monotonic()
        self.cpu = used.ru_utime + used.ru_stime
        self.process.returncode = os.waitstatus_to_exitcode(code)
        return True


def start(name: str, words: Sequence[str | Path], where: Path, state: str) -> Running:
    """Start a program in a folder of its own; a question is answered with yes."""
    where.mkdir(parents=True)
    env = environment(
        HOME=state, XDG_STATE_HOME=state, HOLDFAST_KEY="5a" * 32, PYTHONUNBUFFERED="1"
    )
    with (where / OUTPUT).open("wb") as stream:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=stream, stderr=stream, cwd=where, env=env
        )
    assert process.stdin is not None
    process.stdin.write(b"y\n")
    process.stdin.close()
    return Running(name, where, process, time.monotonic())


@frozen
class Transfer:
    """What the two of a transfer used."""

    sender: Running
    receiver: Running

    @property
    def seconds(self) -> float:
        """From the start of the receiver, who has the code, to the end of both."""
        return max(self.sender.ended, self.receiver.ended) - self.receiver.begun

    @property
    def whole(self) -> float:
        """From the start of the sender to the end of both, in seconds."""
        return max(self.sender.ended, self.receiver.ended) - self.sender.begun


def transfer(sender: Client, receiver: Client, place: Place, path: Path) -> Transfer:
    """Send a file or folder from the one to the other."""
    states = [str(place.state / role) for role in ("sender", "receiver")]
    sends = start(sender.name, sender.send(place, path), place.sender, states[0])
    code = sends.code()
    words = receiver.receive(place, code)
    receives = start(receiver.name, words, place.receiver, states[1])
    going = {sends: receives, receives: sends}
    while going:
        time.sleep(LOOK_EVERY)
        for each, other in list(going.items()):
            if each.look():
                del going[each]
            if each.process.returncode:
                other.process.kill()
                raise SystemExit(f"{each.name} failed: {each.said[-2000:]}")
    return Transfer(sends, receives)
