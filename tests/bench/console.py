"""What the console costs a worker, and how quickly it finds a flow among many.

A worker lets stock clients collect, one after another, while nobody looks and while fifty people
have the page *Flows* open: the figure is how long a recipient waits. Then a name is typed in
Chromium beside 20,000 flows: the figure is how long it takes until the table shows it.

Nothing to compare with, so only by name: `make bench ONLY=console`.
"""

from __future__ import annotations

import http.client
import re
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from holdfast_journal import SqlJournal
from tests.console.chromium import Console, chromium, people, visit
from tests.console.exhibits import new
from tests.harness.closing import Closing
from tests.harness.peers import StockReceivers
from tests.harness.process import NO_RELAY, Child, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.journal.postgres import memory

VIEWERS = 50
COLLECT = 60
"""How many collect in each round."""
ROUNDS = 2
MANY = 20_000
SEARCHES = 20

LATENESS = Path(__file__).with_name("lateness.py")


@define(eq=False)
class Viewers(Closing):
    """So many who have the page of flows open, as far as the server can tell."""

    console: Console
    number: int
    got: int = field(default=0, init=False)
    """Bytes that they were sent."""
    _sockets: list[socket.socket] = field(factory=list, init=False)
    _over: bool = field(default=False, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __enter__(self) -> Viewers:
        cookie = enter(self.console)
        for _ in range(self.number):
            page = ask(self.console, "/flows", cookie)
            stream = re.search(r'hx-sse:connect="([^"]+)"', page)
            path = "/live?all=1" if stream is None else stream[1]
            self._sockets.append(self._open(path, cookie))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        self._over = True
        if self._thread is not None:
            self._thread.join()
        for each in self._sockets:
            each.close()

    def _open(self, path: str, cookie: str) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.console.port))
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.console.port}",
            f"Cookie: {cookie}",
        ]
        opened.sendall("\r\n".join([*lines, "", ""]).encode())
        return opened

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in self._sockets:
                selector.register(each, selectors.EVENT_READ, each)
            while not self._over:
                for key, _ in selector.select(0.2):
                    self.got += len(key.data.recv(65536))


def enter(console: Console) -> str:
    """Come in by the one-time address; return the cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port)
    connection.request("GET", console.entrance.removeprefix(console.address))
    answer = connection.getresponse()
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    connection.close()
    return cookie


def ask(console: Console, path: str, cookie: str) -> str:
    """Return a page."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port)
    connection.request("GET", path, headers={"Cookie": cookie})
    page = connection.getresponse().read().decode()
    connection.close()
    return page


@contextmanager
def worker(home: Holdfast, folder: Path, names: Sequence[str], batch: str) -> Iterator[list[str]]:
    """Run a worker with a flow for each, whose lateness is noted; gives the codes."""
    folder.mkdir()
    source, codes = people(folder / "people.csv", *names), folder / "codes.csv"
    words = [sys.executable, LATENESS, "provision", source, "--batch", batch, "--codes", codes]
    with Child([str(each) for each in words], env=home.env(), cwd=folder, fresh=True) as child:

        def found() -> list[str]:
            lines = codes.read_text().splitlines()[1:] if codes.exists() else []
            return [line.rpartition(",")[2] for line in lines]

        until(lambda: len(found()) == len(names), child.describe)
        yield found()
        child.wait()


def collect(relay: str, codes: Sequence[str]) -> list[float]:
    """Let them collect one after another; how many milliseconds each took."""
    took = []
    with StockReceivers(relay) as stock:
        for number, code in enumerate(codes):
            begun = time.monotonic()
            assert stock.wait(stock.receive(code)).ok
            if number:  # the first pays for the client's imports
                took.append((time.monotonic() - begun) * 1000)
    return took


def part(found: Sequence[float], of_a_hundred: int) -> float:
    """Return the percentile."""
    return statistics.quantiles(found, n=100, method="inclusive")[of_a_hundred - 1]


def late(folder: Path) -> list[float]:
    """How many milliseconds late the worker's reactor was, whenever it was late."""
    lines = (folder / ".late").read_text().splitlines()
    return [float(line.split()[1]) for line in lines]


def compare_viewers(folder: Path, say: Callable[[str], object]) -> None:
    """A worker without and with people who look at it."""
    times: dict[int, list[float]] = {0: [], VIEWERS: []}
    lates: dict[int, list[float]] = {0: [], VIEWERS: []}
    with MailboxServer(folder) as server:
        home = Holdfast(folder / "home", server.url, str(folder / "viewed.db"), NO_RELAY)
        SqlJournal.open_inline(folder / "viewed.db", environ={}).close()
        for number in range(ROUNDS):
            for viewers in times:
                batch = f"{number}-{viewers}"
                names = [f"p{each}" for each in range(COLLECT)]
                with Console(home) as console, worker(home, folder / batch, names, batch) as codes:
                    with Viewers(console, viewers) as looking:
                        times[viewers] += collect(server.url, codes)
                    lates[viewers] += late(folder / batch)
                say(f"round {number + 1}, {viewers} viewers, who were sent {looking.got:,} bytes")
    for viewers, took in times.items():
        say(
            f"{viewers} viewers: a recipient waits {part(took, 50):.0f} ms (median),"
            f" {part(took, 99):.0f} ms (p99); the worker's reactor was late by more than 2 ms"
            f" {len(lates[viewers])} times, at most {max(lates[viewers], default=0):.0f} ms"
        )


def search(folder: Path, say: Callable[[str], object]) -> None:
    """Type names beside many flows."""
    path = folder / "many.db"
    journal = SqlJournal.open_inline(path, environ={})
    journal.start_flows("many", new([f"person-{each:05}@example.com" for each in range(MANY)]))
    journal.close()
    took = []
    home = Holdfast(folder / "home", "ws://127.0.0.1:9/v1", str(path), NO_RELAY)
    with Console(home) as console, chromium() as browser, visit(browser) as window:
        page = window.page
        page.goto(console.entrance)
        page.goto(f"{console.address}/flows")
        for each in range(SEARCHES):
            name = f"person-{each * 997:05}"
            begun = time.monotonic()
            page.fill("input[name=q]", name)
            page.wait_for_selector(f"td >> text={name}@example.com")
            took.append((time.monotonic() - begun) * 1000)
    say(
        f"a name among {MANY:,} flows: {part(took, 50):.0f} ms (median), at most {max(took):.0f} ms"
        " from typing to the table, 300 ms of them waiting for more to be typed"
    )


def tell(say: Callable[[str], object]) -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        compare_viewers(Path(folder), say)
        search(Path(folder), say)
