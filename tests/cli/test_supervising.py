"""What a service manager such as systemd is told, over sockets as it has them."""

import faulthandler
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from holdfast.operating.supervising import PERIOD, Manager, Supervised
from tests.harness.process import Holdfast
from tests.harness.service_manager import Listening


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listening]:
    name = f"{tmp_path}/notify" if request.param == "path" else f"@holdfast-test-{os.getpid()}"
    listening = Listening(name)
    yield listening
    listening.close()


@pytest.fixture(autouse=True)
def faults_as_they_were() -> Iterator[None]:
    was = faulthandler.is_enabled()
    yield
    (faulthandler.enable if was else faulthandler.disable)()


def supervised(
    listening: Listening,
    watchdog: float | None,
    unwell: Callable[[], str | None],
    status: Callable[[], str | None],
) -> tuple[MemoryReactorClock, Supervised]:
    reactor = MemoryReactorClock()
    found = Supervised(Manager(listening.address, watchdog), reactor, unwell, status)
    return reactor, found


def test_from_ready_to_stopping(manager: Listening) -> None:
    """The watchdog is fed at half of its time; the status is said when it changes."""
    status = ["2 flows: 2 waiting"]
    reactor, service = supervised(manager, 8.0, lambda: None, lambda: status[0])
    service.ready()
    assert manager.heard() == ["READY=1", "STATUS=2 flows: 2 waiting"]
    reactor.advance(4)
    assert manager.heard() == ["WATCHDOG=1"]
    status[0] = "1 flow: 1\x1b waiting\nREADY=0"
    reactor.advance(4)
    assert manager.heard() == ["WATCHDOG=1", "STATUS=1 flow: 1\\x1b waiting\\nREADY=0"]
    for stop, *_ in reactor.triggers["before"]["shutdown"]:
        stop()
    assert manager.heard() == ["STOPPING=1", "STATUS=stopping"]
    reactor.advance(100)
    assert manager.silent()


def test_who_is_not_well_is_not_fed(manager: Listening) -> None:
    """Then the manager hears why, and ends the process unless it is well again in time."""
    why: list[str | None] = ["the journal's writer has stood still for 91 seconds"]
    reactor, service = supervised(manager, 60.0, lambda: why[0], lambda: "serving")
    service.ready()
    assert manager.heard() == ["READY=1", "STATUS=serving"]
    reactor.advance(PERIOD)
    assert manager.heard() == [f"STATUS=unwell: {why[0]}"]
    reactor.advance(PERIOD)
    assert manager.silent()
    why[0] = None
    reactor.advance(PERIOD)
    assert manager.heard() == ["WATCHDOG=1", "STATUS=serving"]


def test_without_a_watchdog(manager: Listening) -> None:
    """A manager that has none is told of changes alone."""
    reactor, service = supervised(manager, None, lambda: None, lambda: "serving")
    service.ready()
    assert manager.heard() == ["READY=1", "STATUS=serving"]
    reactor.advance(PERIOD)
    assert manager.silent()


def test_a_manager_that_is_gone(manager: Listening) -> None:
    """The service works on."""
    reactor, service = supervised(manager, 2.0, lambda: None, lambda: "serving")
    manager.close()
    service.ready()
    reactor.advance(1)
    assert len(reactor.getDelayedCalls()) == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Manager()),
        ({"WATCHDOG_USEC": "2000000"}, Manager()),
        ({"NOTIFY_SOCKET": ""}, Manager()),
        ({"NOTIFY_SOCKET": "@"}, Manager()),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, Manager()),
        ({"NOTIFY_SOCKET": "/run/n"}, Manager("/run/n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "2000000"}, Manager("@n", 2.0)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "0"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "-1s"}, Manager("@n")),
        (
            {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "7"},
            Manager("@n", 1e-3),
        ),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "8"}, Manager("@n")),
    ],
)
def test_what_the_environment_says(environ: dict[str, str], expected: Manager) -> None:
    """The variables are for this process alone, and no child finds them."""
    assert Manager.taken_from(environ, 7) == expected
    assert environ == {}


@pytest.mark.parametrize(
    ("command", "status"),
    [("relay", "transit relay: tcp:127.0.0.1:"), ("console", "console: http://")],
)
def test_a_server(tmp_path: Path, command: str, status: str) -> None:
    """It is ready when it listens, and alive until it stops; nobody here hears a one-time key."""
    listening = Listening(f"{tmp_path}/notify")
    env = {
        "NOTIFY_SOCKET": listening.address,
        "WATCHDOG_USEC": "400000",
        "HOLDFAST_LOG_FORMAT": "journal",
    }
    home = Holdfast(tmp_path, db=f"{tmp_path}/holdfast.db", extra=env)
    with closing(listening), home.start(command, "--listen", "127.0.0.1:0") as server:
        ready, said = listening.heard()
        assert (ready, said[: len(status) + 7]) == ("READY=1", f"STATUS={status}")
        assert listening.heard() == ["WATCHDOG=1"]
        server.terminate()
        assert listening.last() == ["STOPPING=1", "STATUS=stopping"]
        ended = server.wait()
    assert (ended.status, ended.out) == (0, "")
    assert f"<6>{status}" in ended.err
    assert "key=" not in said + ended.err
