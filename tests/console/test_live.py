"""Live rows: one look a second for everybody, and nobody misses anything."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from holdfast.console.live import ALIVE_EVERY, LONGEST, MOVED, Live
from holdfast.console.viewers import Role
from holdfast_journal import SqlJournal, TakenFlow
from tests.cli.journals import move
from tests.console.browser import HOST, Browser


class Transport(StringTransport):
    """A connection that a client can close."""

    def abortConnection(self) -> None:  # noqa: N802
        self.disconnecting = True


@define
class Page:
    """A page in a browser that listens."""

    browser: Browser
    address: str
    again: bool = False
    transport: Transport = field(init=False)
    channel: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.transport = Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5000))
        self.channel = self.browser.site.buildProtocol(self.transport.getPeer())
        self.channel.makeConnection(self.transport)
        again = "Last-Event-ID: 1\r\n" if self.again else ""
        self.channel.dataReceived(
            f"GET {self.address} HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Cookie: {self.browser.cookie}\r\n{again}\r\n".encode()
        )

    def heard(self) -> str:
        """What came since the last call."""
        got = self.transport.value().decode()
        self.transport.clear()
        return got

    def leave(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def live(browser: Browser) -> Iterator[Live]:
    """The streams of a console at which somebody is logged in."""
    made = Live(browser.log_in().console)
    made.add()
    yield made
    made.stop()
    assert not made.watchers


@pytest.fixture
def flows(journal: SqlJournal) -> dict[str, TakenFlow]:
    return {each.name: each for each in journal.take()}


@pytest.fixture
def looks(journal: SqlJournal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often the journal was asked for anything."""
    asked: list[str] = []

    def counted(name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def counting(self: SqlJournal, *args: Any, **more: Any) -> Any:
            asked.append(name)
            return ask(self, *args, **more)

        return counting

    for name in ("moved", "page", "poll", "groups"):
        monkeypatch.setattr(SqlJournal, name, counted(name, getattr(SqlJournal, name)))
    return asked


def rows(journal: SqlJournal, *names: str) -> str:
    """The address for a page that shows these flows as they are now."""
    return "/live?rows=" + ",".join(f"{e.id}.{e.seq}" for e in journal.named("default", names))


def test_a_row_that_moves(browser: Browser, live: Live, flows: dict[str, TakenFlow]) -> None:
    """It comes within a second, as a row that takes the place of the old one; no other does."""
    page = Page(browser, rows(browser.journal, "ann", "dan"))
    assert "Content-Type: text/event-stream" in page.heard()
    browser.reactor.advance(1)
    assert page.heard() == ""
    move(flows["ann"], "done", finished=True)
    browser.reactor.advance(1)
    got = page.heard()
    assert got.count('data: <tr id="flow-') == 1
    assert 'class="good moved" hx-swap-oob="outerMorph"' in got
    assert "guitar" not in got
    browser.reactor.advance(3)
    assert page.heard() == ""
    page.leave()
    assert not live.watchers


def test_fifty_viewers_cost_one_look(
    browser: Browser, live: Live, flows: dict[str, TakenFlow], looks: list[str]
) -> None:
    """Each of them is told; and with none the journal is left alone."""
    address = rows(browser.journal, "ann", "dan")
    pages = [Page(browser, address) for _ in range(50)]
    browser.reactor.advance(1)
    looks.clear()
    browser.reactor.advance(1)
    assert looks == ["moved"]
    looks.clear()
    move(flows["ann"], "done", finished=True)
    browser.reactor.advance(1)
    assert looks == ["moved", "page"]
    for page in pages:
        assert 'class="good moved"' in page.heard()
        page.leave()
    looks.clear()
    browser.reactor.pump([1] * 10)
    assert looks == []


def test_what_moved_meanwhile(browser: Browser, live: Live, flows: dict[str, TakenFlow]) -> None:
    """Between the page and its stream, and while a stream was interrupted."""
    address = rows(browser.journal, "ann")
    move(flows["ann"], "exchanging")
    first = Page(browser, address)
    browser.reactor.advance(1)
    assert "exchanging" in first.heard()
    first.leave()
    browser.reactor.advance(5)
    move(flows["ann"], "done", finished=True)
    again = Page(browser, address)
    browser.reactor.advance(1)
    assert 'class="good moved"' in again.heard()


@pytest.mark.parametrize(
    ("address", "again", "at_once", "later"),
    [
        ("/live?all=1", False, False, True),
        ("/live?all=1", True, True, True),
        ("/live?flow=1.2", False, False, True),
        ("/live?flow=1.1", False, True, True),
        ("/live?flow=2.1", False, False, False),
    ],
)
def test_pages_that_load_themselves(
    browser: Browser,
    live: Live,
    flows: dict[str, TakenFlow],
    address: str,
    again: bool,
    at_once: bool,
    later: bool,
) -> None:
    """They are told that something moved that they show, or may have missed; once a second."""
    move(flows["ann"], "waiting")
    page = Page(browser, address, again)
    browser.reactor.advance(1)
    assert (MOVED.decode() in page.heard()) == at_once
    for _ in range(3):
        move(flows["ann"], "exchanging")
    browser.reactor.advance(1)
    assert page.heard().count(MOVED.decode()) == later


def test_what_is_about_everything_grows_old(browser: Browser, live: Live) -> None:
    """A worker may be gone, which moves no flow: such a page is told four times a minute."""
    page = Page(browser, "/live?all=1")
    browser.reactor.pump([1] * 60)
    assert page.heard().count(MOVED.decode()) == 60 // ALIVE_EVERY


def test_who_does_not_read(browser: Browser, live: Live, flows: dict[str, TakenFlow]) -> None:
    """Is sent nothing, which would pile up; and afterwards how things stand then."""
    page = Page(browser, rows(browser.journal, "ann"))
    browser.reactor.advance(1)
    page.heard()
    producer: Any = page.transport.producer
    producer.pauseProducing()
    move(flows["ann"], "exchanging")
    browser.reactor.advance(ALIVE_EVERY)
    move(flows["ann"], "done", finished=True)
    browser.reactor.advance(1)
    assert page.heard() == ""
    producer.resumeProducing()
    browser.reactor.advance(1)
    got = page.heard()
    assert "exchanging" not in got
    assert 'class="good moved"' in got


def test_streams_end(browser: Browser, live: Live) -> None:
    """After some minutes, to be opened again; at once when somebody logs out."""
    page = Page(browser, "/live?all=1")
    for _ in range(int(LONGEST)):
        browser.reactor.advance(1)
    assert not live.watchers
    assert page.heard().endswith("0\r\n\r\n")
    page = Page(browser, "/live?all=1")
    browser.post("/logout", {"csrf": browser.csrf})
    for _ in range(ALIVE_EVERY):
        browser.reactor.advance(1)
    assert not live.watchers
    assert Page(browser, "/live?all=1").heard().startswith("HTTP/1.1 401 ")


def test_an_open_page_does_not_keep_a_session(browser: Browser, live: Live) -> None:
    """Streams, and what pages load because of them, are no sign that somebody is there."""
    for _ in range(9):
        Page(browser, "/live?all=1")
        browser.get("/flows?q=nobody", **{"X-Moved": "1"})
        browser.reactor.advance(3600)
    assert not live.watchers
    assert browser.get("/flows").status == 303


def test_there_are_not_too_many(browser: Browser, live: Live) -> None:
    """Whoever comes then has a page that does not move by itself."""
    live.most = 3
    pages = [Page(browser, "/live?all=1") for _ in range(3)]
    late = Page(browser, "/live?all=1")
    assert late.heard().startswith("HTTP/1.1 204 ")
    pages[0].leave()
    assert Page(browser, "/live?all=1").heard().startswith("HTTP/1.1 200 ")


def test_the_database_is_away(
    browser: Browser, live: Live, flows: dict[str, TakenFlow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved is told when it is there again."""
    from holdfast_journal import DatabaseUnusable

    page = Page(browser, rows(browser.journal, "ann"))
    browser.reactor.advance(1)
    move(flows["ann"], "done", finished=True)

    def away(*_: object) -> None:
        raise DatabaseUnusable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(SqlJournal, "moved", away)
        browser.reactor.pump([1] * 3)
    page.heard()
    browser.reactor.advance(1)
    assert 'class="good moved"' in page.heard()


@pytest.mark.parametrize(
    "query",
    [
        "rows=1",
        "rows=1.",
        "rows=1.2,",
        "rows=x.y",
        "rows=-1.2",
        "flow=%F0%9F%98%80.1",
        f"rows={'9' * 19}.1",
        "rows=" + ",".join(["1.1"] * 501),
    ],
)
def test_what_is_not_understood(browser: Browser, live: Live, query: str) -> None:
    """It is refused in words, and never reaches the database."""
    assert browser.get(f"/live?{query}").status == 400
    assert not live.watchers


def test_rows_for_those_who_may_act(
    browser: Browser, live: Live, flows: dict[str, TakenFlow]
) -> None:
    """They are told of the same flows."""
    pages = [Page(browser.log_in(role), rows(browser.journal, "ann")) for role in Role]
    move(flows["ann"], "done", finished=True)
    browser.reactor.advance(1)
    for page in pages:
        assert 'class="good moved"' in page.heard()
