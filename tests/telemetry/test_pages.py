"""The pages, asked over a connection in memory: no reactor, no socket."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from holdfast.telemetry.pages import IDLE, LARGEST_BODY, MOST_CONNECTIONS, site
from tests.harness.reactor import flush_logged_errors

KIND = "text/plain; version=0.0.4"


@define
class Patient:
    """Whose health is as the test says."""

    ails: str | None = None
    lacks: str | None = None

    def unwell(self) -> str | None:
        return self.ails

    def unready(self) -> str | None:
        return self.lacks


@define(eq=False)
class Pages:
    """The web site, and whoever asks it."""

    metrics: Callable[[], Deferred[str]] = lambda: succeed("holdfast_x 1\n")
    patient: Patient = field(factory=Patient)
    clock: Clock = field(factory=Clock)
    site: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.site = site(self.clock, self.patient, self.metrics, KIND)

    def connect(self) -> Any:
        protocol = self.site.buildProtocol(None)
        if protocol is not None:
            protocol.makeConnection(StringTransport())
        return protocol

    def ask(self, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
        """Return the status, and head and text as they came."""
        protocol = self.connect()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        protocol.dataReceived(head.encode() + body)
        return answer_of(protocol)


def answer_of(protocol: Any) -> tuple[int, str]:
    said = protocol.transport.value().decode()
    return int(said.split()[1]) if said else 0, said


@pytest.mark.parametrize(
    ("ails", "lacks", "live", "ready"),
    [
        (None, None, 200, 200),
        (None, "the database cannot be used now", 200, 503),
        ("the writer stands still", None, 503, 200),
    ],
)
def test_probes(ails: str | None, lacks: str | None, live: int, ready: int) -> None:
    """Each answers its own question, by the status and in a line."""
    pages = Pages(patient=Patient(ails, lacks))
    for path, status, why in (("/livez", live, ails), ("/readyz", ready, lacks)):
        found, said = pages.ask(path)
        assert found == status
        assert said.endswith(f"\r\n\r\n{why or 'ok'}\n")
        assert "no-store" in said


def test_metrics() -> None:
    """They are shown when they are there, and not before; HEAD is told their length at most."""
    waiting: Deferred[str] = Deferred()
    pages = Pages(lambda: waiting)
    protocol = pages.connect()
    protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer_of(protocol)[0] == 0
    waiting.callback("holdfast_x 1\n")
    status, said = answer_of(protocol)
    assert status == 200
    assert KIND in said
    assert "holdfast_x 1\n" in said
    status, said = Pages().ask("/metrics", "HEAD")
    assert status == 200
    assert "holdfast_x" not in said


def test_whoever_does_not_wait_for_them() -> None:
    """A client that has gone is not answered, and nothing is logged."""
    waiting: Deferred[str] = Deferred()
    pages = Pages(lambda: waiting)
    protocol = pages.connect()
    protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    protocol.connectionLost(Failure(ConnectionDone()))
    waiting.callback("holdfast_x 1\n")
    assert answer_of(protocol)[0] == 0


def test_metrics_that_fail() -> None:
    """The client is told that they do, and not why; the log has the error."""
    pages = Pages(lambda: fail(ValueError("s3cr3t")))
    status, said = pages.ask("/metrics")
    assert status == 500
    assert "s3cr3t" not in said
    (error,) = flush_logged_errors()
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/", "POST", 405),
        ("/metrics", "DELETE", 405),
        ("/metrics/more", "GET", 404),
        ("/nothing", "GET", 404),
        ("/../livez", "GET", 404),
        ("/<script>", "GET", 404),
    ],
)
def test_what_is_not_there(path: str, method: str, status: int) -> None:
    """Other paths and methods are refused, and not repeated as markup."""
    found, said = Pages().ask(path, method)
    assert found == status
    assert "<script>" not in said


def test_what_a_request_carries() -> None:
    """A body is dropped, and one without end ends the connection."""
    pages = Pages()
    assert pages.ask("/livez", body=b"x" * LARGEST_BODY)[0] == 200
    protocol = pages.connect()
    protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    for _ in range(LARGEST_BODY // 0x1000):
        protocol.dataReceived(piece)
    assert not protocol.transport.disconnecting
    protocol.dataReceived(piece)
    assert protocol.transport.disconnecting


def test_a_length_that_is_no_number_for_python() -> None:
    """It is refused, and nothing is logged."""
    protocol = Pages().connect()
    length = b"9" * 5000
    protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
    assert answer_of(protocol)[0] == 400
    assert protocol.transport.disconnecting


def test_too_many_clients() -> None:
    """No more than so many are served, until one of them leaves; those that say nothing are cut."""
    pages = Pages()
    clients = [pages.connect() for _ in range(MOST_CONNECTIONS)]
    assert pages.connect() is None
    clients[0].connectionLost(Failure(ConnectionDone()))
    assert pages.connect() is not None
    pages.clock.advance(IDLE)
    assert all(each.transport.disconnecting for each in clients[1:])
