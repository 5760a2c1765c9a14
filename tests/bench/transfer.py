"""Files and folders: CPU for a gigabyte at each end, throughput, and memory, with each client.

What is measured are the installed commands, started as a person starts them, with a mailbox server
and a transit relay on loopback and files on the disk.  Each is measured twice in each round, with
a file of one byte and with a large one, and the difference counts: it leaves out what it takes to
start and to agree, which has rows of its own.  Our sender reads and digests a file before it
offers it: this is in its CPU, and not in the throughput, which begins when the receiver has the
code.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from socket import create_connection

from attrs import define, evolve, field

from tests.bench import transfer_floor
from tests.bench.clients import Client, Place, Transfer, holdfast, stock, transfer, william
from tests.bench.measuring import HERE, Bench, Figures, Outcome, Row, Sample, folder, sample
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

ROUNDS = 3
SIZE = 1_000_000_000
FILES = 10_000
OF_A_FILE = 2_000
PUBLIC_RELAY, RELAY_PORT = "transit.magic-wormhole.io", 4001
LOOPBACK = "127.0.0.77"
"""Where the relay listens: the Go client can only be told another address, not another port."""


@define
class Ground:
    """What all contestants share: the servers, and what is sent."""

    mailbox: str
    relay: str
    folder: Path
    receiver: Path = field(init=False)
    """Where the last transfer went."""
    _runs: int = 0

    def run(self, sender: Client, receiver: Client, what: str, *, direct: bool = True) -> Transfer:
        """Send `what`, a name in the folder, into a new place.

        Places are removed only at the end: where many files were removed just before, ext4 takes
        ten times as long to make one.
        """
        self._runs += 1
        sends, self.receiver = (self.folder / f"{role}-{self._runs}" for role in ("from", "to"))
        place = Place(self.mailbox, self.relay, direct, sends, self.receiver, self.folder / "state")
        done = transfer(sender, receiver, place, self.folder / what)
        if (arrived := self.receiver / what).is_file():
            arrived.unlink()
        return done

    def large(self, sender: Client, receiver: Client, *, direct: bool = True) -> Figures:
        """A large file, less what a tiny one takes."""
        tiny = self.run(sender, receiver, "tiny", direct=direct)
        large = self.run(sender, receiver, "large", direct=direct)
        gigabytes = SIZE / 1e9
        return {
            "send": (large.sender.cpu - tiny.sender.cpu) / gigabytes,
            "receive": (large.receiver.cpu - tiny.receiver.cpu) / gigabytes,
            "rate": SIZE / 1e6 / (large.seconds - tiny.seconds),
            "send MB": large.sender.memory,
            "send MB, private": large.sender.private,
            "receive MB": large.receiver.memory,
            "receive MB, private": large.receiver.private,
            "send, start": tiny.sender.cpu,
            "receive, start": tiny.receiver.cpu,
            "tiny": tiny.seconds,
            "large": large.seconds,
        }

    def many(self, sender: Client, receiver: Client) -> Figures:
        """A folder of many small files, less what a tiny file takes."""
        tiny = self.run(sender, receiver, "tiny")
        many = self.run(sender, receiver, "many")
        found = sum(1 for path in (self.receiver / "many").rglob("*.txt") if path.stat().st_size)
        assert found == FILES, f"{found} files arrived"
        return {
            "seconds": many.whole - tiny.whole,
            "send": many.sender.cpu - tiny.sender.cpu,
            "receive": many.receiver.cpu - tiny.receiver.cpu,
        }

    def late(self, watched: Client) -> Figures:
        """How late the reactors of both are while the bytes of a large file move."""
        tiny = self.run(watched, watched, "tiny").seconds
        large = self.run(watched, watched, "large")
        end = large.receiver.begun + large.seconds - 0.2
        begin = end + 0.2 - (large.seconds - tiny)
        return {
            who: _latest(running.folder / ".late", begin, end)
            for who, running in (("send", large.sender), ("receive", large.receiver))
        }


def _latest(path: Path, begin: float, end: float) -> float:
    lines = [line.split() for line in path.read_text().splitlines()]
    return max((float(ms) for at, ms in lines if begin < float(at) < end), default=0.0)


@contextmanager
def ground(program: Path) -> Iterator[Ground]:
    """The servers, the relay by `program`, and the files on the disk."""
    with folder(on_disk=True) as disk, MailboxServer(disk) as mailbox:
        make_file(disk / "tiny", 1)
        make_file(disk / "large", SIZE)
        make_folder(disk / "many")
        address = f"{LOOPBACK}:{RELAY_PORT}"
        (disk / "hosts").write_text(f"127.0.0.1 localhost\n{LOOPBACK} {PUBLIC_RELAY}\n")
        words = [program, "transitrelay", f"--port=tcp:{RELAY_PORT}:interface={LOOPBACK}"]
        relay = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=disk)
        try:
            until(_listens, "the relay")
            yield Ground(mailbox.url, address, disk)
        finally:
            relay.terminate()
            relay.wait()


def _listens() -> bool:
    try:
        create_connection((LOOPBACK, RELAY_PORT)).close()
    except ConnectionRefusedError:
        return False
    return True


def make_file(path: Path, size: int) -> Path:
    """A file that cannot be compressed."""
    block = 1 << 20
    with Path("/dev/urandom").open("rb") as source, path.open("wb") as target:
        for at in range(0, size, block):
            target.write(source.read(min(block, size - at)))
    return path


def make_folder(path: Path) -> Path:
    """A folder of many small files, a hundred in each of its folders."""
    for number in range(FILES):
        place = path / f"{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_bytes(bytes([number % 256]) * OF_A_FILE)
    return path


def compare(bench: Bench) -> Outcome:
    """All pairs of clients."""
    program = bench.python("wormhole").with_name("wormhole")
    theirs, ours = stock(program), holdfast()
    watched = holdfast(sys.executable, HERE / "lateness.py")
    with ground(program.with_name("twist")) as here:
        pairs = {"stock": (theirs, theirs), "ours": (ours, ours)}
        pairs |= {"to stock": (ours, theirs), "from stock": (theirs, ours)}
        contestants = {name: partial(here.large, *pair) for name, pair in pairs.items()}
        if go := william(here.folder / "hosts"):
            contestants["william"] = partial(here.large, go, go)
        for name in ("stock", "ours"):
            contestants[f"{name}, relay"] = partial(here.large, *pairs[name], direct=False)
        for pair in pairs.values():  # not counted: Holdfast makes its database
            here.run(*pair, "tiny")
        found = bench.rounds(ROUNDS, contestants)
        folders = {name: partial(here.many, *pairs[name]) for name in ("stock", "ours")}
        many = bench.rounds(ROUNDS, folders)
        late = bench.rounds(1, {"ours": partial(here.late, watched)})["ours"]
    rows = [*_large(found), *_many(many), *_late(late)]
    return Outcome(rows, notes=[transfer_floor.sentence(bench.ours("transfer_floor"))])


def _large(found: Mapping[str, Sequence[Figures]]) -> Iterator[Row]:
    def row(what: str, peer: str, ours: str, figure: str, unit: str = "CPU s") -> Row:
        samples = [sample(found[name], figure, unit) for name in (peer, ours)]
        return Row(f"a file of 1 GB, {what}", *samples)

    def at_most(share: float, row: Row) -> Row:
        assert isinstance(row.peer, Sample)
        return evolve(row, at_most=share * row.peer.median)

    def at_least(times: float, row: Row) -> Row:
        assert isinstance(row.peer, Sample)
        return evolve(row, at_least=times * row.peer.median, more_is_better=True)

    yield at_most(0.6, row("sender to the stock client", "stock", "to stock", "send"))
    yield at_most(0.8, row("receiver from the stock client", "stock", "from stock", "receive"))
    yield at_most(0.6, row("sender to its own", "stock", "ours", "send"))
    yield at_most(0.75, row("receiver from its own", "stock", "ours", "receive"))
    yield at_least(2, row("throughput", "stock", "ours", "rate", "MB/s"))
    yield at_least(
        2, row("throughput through a relay", "stock, relay", "ours, relay", "rate", "MB/s")
    )
    if "william" in found:
        for figure, who in (("send", "sender"), ("receive", "receiver")):
            yield at_most(1, row(f"{who}; the peer is wormhole-william", "william", "ours", figure))
        what = "throughput; the peer is wormhole-william"
        yield at_least(1, row(what, "william", "ours", "rate", "MB/s"))
    for figure, who in (("send", "sender"), ("receive", "receiver")):
        yield evolve(row(f"memory of the {who}", "stock", "ours", f"{figure} MB", "MB"), at_most=60)
        what = f"memory of the {who} that is in no file"
        yield row(what, "stock", "ours", f"{figure} MB, private", "MB")
        samples = [sample(found[name], f"{figure}, start", "CPU s") for name in ("stock", "ours")]
        yield Row(f"a file of 1 byte, {who}", *samples)


def _many(found: Mapping[str, Sequence[Figures]]) -> Iterator[Row]:
    what = f"a folder of {FILES:,} small files, with what its sender does before it offers it"
    peer, ours = (sample(found[name], "seconds", "s") for name in ("stock", "ours"))
    yield Row(what, peer, ours, at_most=peer.median)
    for figure, who in (("send", "sender"), ("receive", "receiver")):
        samples = [sample(found[name], figure, "CPU s") for name in ("stock", "ours")]
        yield Row(f"a folder of {FILES:,} small files, {who}", *samples)


def _late(found: Sequence[Figures]) -> Iterator[Row]:
    for figure, who in (("send", "sender"), ("receive", "receiver")):
        what = f"how late the {who}'s reactor is while the bytes of a file move"
        yield Row(what, "–", sample(found, figure, "ms"), at_most=20)
