"""`make kept`: kill -9 at seeded moments of files to and from stock clients, which are kept.

    python -m tests.kill.kept --moments 200 --size 100 --seed 1

Each transfer is killed several times, from the moment on at which its connection is kept. Whatever
the moment, the file is right, it comes once, and both sides end with 0.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import define, field

from tests.harness.keepers import Keeper, Keeps, Store
from tests.harness.nursery import Death, Nursery
from tests.harness.peers import (
    WILLIAM,
    StockReceivers,
    code_of,
    william_receive_file,
    william_send_file,
    william_with_relay,
    wormhole_receive_file,
    wormhole_send_file,
)
from tests.harness.process import BIN, Child
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.kill import transfers
from tests.kill.transfers import PATIENCE, End, inbox
from tests.kill.world import World

KEEPERS: Final[Mapping[str, Callable[[Path], Keeper | Store]]] = {"keep": Keeper, "store": Store}
PEERS: Final = ("python", "go") if WILLIAM else ("python",)
ROLES: Final = ("sender", "receiver")

KILLS: Final = 6
"""Of one transfer, at most."""

FIRST: Final = 0.3
LATER: Final = (0.1, 0.8)
"""Seconds from where the connection is kept, and from the start of a later life, to its end."""


def kept(end: End, keeper: Keeps) -> End:
    """Have the connection of one end kept."""
    end.env |= keeper.env
    end.program = keeper.program
    return end


def live_with(peer: Child, end: End, what: Path) -> None:
    """Let both live to their end; both are content, and the file is there."""
    transfers.live(end)
    ended = peer.wait(PATIENCE)
    assert ended.status == 0, f"{peer.describe()}\n{end.describe()}"
    transfers.check_whole(what, end)


@define
class Trials:
    """Transfers with one keeper."""

    world: World
    keeper: Keeps
    what: Path
    chance: random.Random
    go: Path | None
    killed: list[float] = field(factory=list)

    def one(self, role: str, peer: str) -> None:
        """Let one happen, and be killed."""
        if role == "sender":
            end = kept(transfers.sender(self.world, self.what), self.keeper)
            inbox(end.home).mkdir()
            receive = wormhole_receive_file if peer == "python" else william_receive_file
            other = receive(self.world.server.url, transfers.code_of(end), inbox(end.home))
        else:
            other = self._sends(peer)
            end = kept(transfers.receiver(self.world, code_of(other)), self.keeper)
        with other:
            self._disturb(end)
            live_with(other, end, self.what)
        shutil.rmtree(end.home)

    def keeper_dies(self, role: str, *, alone: bool) -> None:
        """Without a keeper nothing is lost, if nothing else happens; if it does, that is said."""
        halts = Death(halts=("record:before:5" if role == "sender" else "write:before:10",))
        if role == "sender":
            end = kept(transfers.sender(self.world, self.what, deaths=[halts]), self.keeper)
            inbox(end.home).mkdir()
            code = transfers.code_of(end)
            other = wormhole_receive_file(self.world.server.url, code, inbox(end.home))
        else:
            other = self._sends("python")
            end = transfers.receiver(self.world, code_of(other), deaths=[halts])
            kept(end, self.keeper).start()
        with other:
            (half_way,) = halts.halts
            transfers.wait(lambda: end.lives[0].halted_at(half_way), end)
            self.keeper.kill()
            if alone:
                end.lives[0].go_on()
                live_with(other, end, self.what)
            else:
                end.lives[0].kill9()
                transfers.live(end)
                assert other.wait(PATIENCE).status != 0, other.describe()
                assert end.status == 1, end.describe()
                assert role == "receiver" or "ask whether everything is there" in end.reason
                assert self.what.name not in transfers.names(end)
        shutil.rmtree(end.home)

    def _sends(self, peer: str) -> Child:
        if peer == "python":
            return wormhole_send_file(self.world.server.url, self.what)
        assert self.go is not None
        return william_send_file(self.world.server.url, self.what, self.go)

    def _disturb(self, end: End) -> None:
        if not end.lives:
            end.start()
        until(lambda: self.keeper.held() or end.lives[-1].status() is not None, end.describe)
        after = self.chance.uniform(0, FIRST)
        for _ in range(KILLS):
            if end.lives[-1].status(after) is not None:
                break
            end.lives[-1].kill9()
            self.killed.append(after)
            end.start()
            after = self.chance.uniform(*LATER)


@contextmanager
def relay_for_go(folder: Path) -> Iterator[Path | None]:
    """Yield a Go client that can send; it insists on a relay."""
    if WILLIAM is None:
        yield None
        return
    with Child([BIN / "holdfast", "relay", "--listen", "[::1]:0"]) as relay:
        port = relay.wait_for(r"^transit relay: .*:(\d+)$")[1]
        yield william_with_relay(folder / "wormhole-william", int(port))


def main() -> int:
    """Run as many transfers as are needed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--size", type=int, default=100, help="megabytes of the file")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    wanted = parser.parse_args()
    print(f"seed {wanted.seed}", flush=True)
    kinds = list(itertools.product(KEEPERS, ROLES, PEERS))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kept-")))
        server = stack.enter_context(MailboxServer(folder))
        nursery = stack.enter_context(Nursery(folder / "lives"))
        peers = stack.enter_context(StockReceivers(server.url))
        go = stack.enter_context(relay_for_go(folder))
        what = folder / "what.bin"
        what.write_bytes(random.Random(wanted.seed).randbytes(wanted.size * 1_000_000))
        world, killed = World(folder, server, nursery, peers), 0

        @contextmanager
        def trials(kind: str, number: int) -> Iterator[Trials]:
            place = folder / f"keeper-{number}"
            place.mkdir()
            with KEEPERS[kind](place) as keeper:
                yield Trials(world, keeper, what, random.Random(f"{wanted.seed} {number}"), go)
                until(lambda: not keeper.held(), "something is held still")

        deaths = itertools.product(KEEPERS, ROLES, (True, False))
        for number, (kind, role, alone) in enumerate(deaths):
            with trials(kind, 1000 + number) as some:
                some.keeper_dies(role, alone=alone)
            print(f"{kind} died{'' if alone else f', and the {role} with it'}", flush=True)
        for number, (kind, role, peer) in enumerate(itertools.cycle(kinds)):
            if killed >= wanted.moments and number >= len(kinds):
                break
            began = time.monotonic()
            with trials(kind, number) as some:
                some.one(role, peer)
            killed += len(some.killed)
            took = time.monotonic() - began
            print(f"{number}: {kind} {role} {peer}: {len(some.killed)} kills, {took:.1f} s")
            sys.stdout.flush()
    print(f"{killed} kills, every file right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
