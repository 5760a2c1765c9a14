"""`holdfast relay`, run as an operator runs it."""

import socket
from pathlib import Path

import click
import pytest

from holdfast.cli.sizes import Size
from tests.harness.process import Holdfast
from tests.harness.relay import please

LISTENS = r"^transit relay: tcp:127\.0\.0\.1:(\d+)$"


def test_it_says_where_it_is_and_nothing_else(tmp_path: Path) -> None:
    """One line says what clients need; no client leaves a trace; SIGTERM ends it cleanly."""
    with Holdfast(tmp_path).start("relay", "--listen", "127.0.0.1:0") as relay:
        where = ("127.0.0.1", int(relay.wait_for(LISTENS)[1]))
        with socket.create_connection(where) as one, socket.create_connection(where) as other:
            for client, side in ((one, "1"), (other, "2")):
                client.sendall(please(side))
            assert one.recv(3) == other.recv(3) == b"ok\n"
            with socket.create_connection(where) as bad:
                bad.sendall(b"hello\n")
                assert bad.recv(14) == b"bad handshake\n"
            relay.terminate()
            done = relay.wait()
    assert (done.status, done.out.count("\n"), done.err) == (0, 1, "")


def test_a_full_relay_says_so_once(tmp_path: Path) -> None:
    """Its operator hears of clients that were sent away, not of each."""
    words = ("relay", "--listen", "127.0.0.1:0", "--connections", "2")
    with Holdfast(tmp_path).start(*words) as relay:
        where = ("127.0.0.1", int(relay.wait_for(LISTENS)[1]))
        with socket.create_connection(where) as one, socket.create_connection(where) as other:
            for client, side in ((one, "1"), (other, "2")):
                client.sendall(please(side))
            assert one.recv(3) == other.recv(3) == b"ok\n"
            for _ in range(3):
                with socket.create_connection(where) as more:
                    assert more.recv(1) == b""
        relay.interrupt()
        done = relay.wait()
    assert done.status == 0
    assert done.err.count("\n") == 1
    assert "there are 2 connections, as many as are allowed" in done.err


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--listen", "nowhere", "neither host:port"),
        ("--connections", "1", "1 is not in the range x>=2"),
        ("--pair-bytes", "many", "'many' is not a size: write it like 500MB, 20GB or 0"),
        ("--idle", "0s", "out of range"),
        ("--wait", "30", "give it a unit"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, option: str, value: str, says: str) -> None:
    """What cannot be used is told in one line with exit status 2."""
    done = Holdfast(tmp_path).run("relay", "--listen", "127.0.0.1:0", option, value)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """A taken port is told in one line with exit status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = Holdfast(tmp_path).run("relay", "--listen", where)
    assert done.status == 2
    assert done.err == f"holdfast: cannot listen on {where}: Address already in use\n"


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    """Without the extra it says which pip command brings it."""
    hide = tmp_path / "hide"
    (hide / "wormhole_transit_relay").mkdir(parents=True)
    (hide / "wormhole_transit_relay" / "__init__.py").write_text(
        "raise ModuleNotFoundError(name='wormhole_transit_relay')"
    )
    done = Holdfast(tmp_path).run("relay", fresh=True, PYTHONPATH=str(hide))
    assert done.status == 2
    assert done.err == (
        "holdfast: the transit relay's package is missing: pip install 'holdfast-wormhole[relay]'\n"
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("5B", 5), ("2kB", 2000), ("500 mb", 5 * 10**8), ("20GB", 2 * 10**10)],
)
def test_sizes(text: str, size: int) -> None:
    """Decimal units, as the sizes of disks have."""
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5GB", "GB", "1GiB", "1" * 16, "\u0661"])
def test_no_sizes(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(click.UsageError, match="is not a size"):
        Size().convert(text, None, None)
