"""Files and folders, to and from the stock command and the Go client."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.harness.peers import (
    code_of,
    needs_william,
    william_receive_file,
    william_send_file,
    william_with_relay,
    wormhole_receive_file,
    wormhole_send_file,
)
from tests.harness.process import BIN, Child, Finished, Holdfast

CODE = r"^(\d+-\S+)\n"

Receives: TypeAlias = Callable[[str, str, Path], Child]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a file and a folder."""
    place = tmp_path_factory.mktemp("sources")
    (place / "räport.pdf").write_bytes(os.urandom(300_000))
    (place / "photos" / "räume").mkdir(parents=True)
    (place / "photos" / "one.jpg").write_bytes(os.urandom(100_000))
    (place / "photos" / "empty").write_bytes(b"")
    (place / "photos" / "räume" / "two.sh").write_bytes(b"#!/bin/sh\n")
    (place / "photos" / "räume" / "two.sh").chmod(0o755)
    return place


@pytest.fixture(scope="module")
def relay() -> Iterator[int]:
    """A transit relay on `[::1]`; its port."""
    with Child([BIN / "holdfast", "relay", "--listen", "[::1]:0"]) as child:
        yield int(child.wait_for(r"tcp:\[::1\]:(\d+)$")[1])


WHAT = pytest.mark.parametrize("what", ["räport.pdf", "photos"])


def contents(place: Path) -> dict[str, bytes]:
    """All files of a folder, or the one."""
    if place.is_file():
        return {"": place.read_bytes()}
    files = (each for each in place.rglob("*") if each.is_file())
    return {str(each.relative_to(place)): each.read_bytes() for each in files}


@WHAT
@pytest.mark.parametrize(
    "receives",
    [
        pytest.param(wormhole_receive_file, id="stock"),
        pytest.param(william_receive_file, id="william", marks=needs_william),
    ],
)
def test_it_receives(
    receives: Receives, what: str, home: Holdfast, sources: Path, tmp_path: Path
) -> None:
    """What `holdfast send` sends arrives at the other client, and we hear so."""
    with home.start("send", sources / what) as sender:
        with receives(str(home.relay), sender.wait_for(CODE)[1], tmp_path) as receiver:
            assert receiver.wait().status == 0, receiver.describe()
        ended = sender.wait()
    assert contents(tmp_path / what) == contents(sources / what)
    assert ended.status == 0
    assert "sent: the recipient has it" in ended.err


def received(home: Holdfast, sender: Child, into: Path) -> Finished:
    return home.run("receive", code_of(sender), "--accept", "--output-dir", into)


@WHAT
def test_the_stock_command_sends(what: str, home: Holdfast, sources: Path, tmp_path: Path) -> None:
    """`holdfast receive` puts it into its place, says where that is, and the sender knows."""
    into = tmp_path / "into"
    into.mkdir()
    with wormhole_send_file(str(home.relay), sources / what) as sender:
        ended = received(home, sender, into)
        assert (ended.status, ended.out) == (0, f"{into / what}\n"), ended
        assert sender.wait().status == 0
    assert contents(into / what) == contents(sources / what)
    assert [each.name for each in into.iterdir()] == [what]
    assert f"received: {into / what}" in ended.err


@needs_william
@WHAT
def test_william_sends(
    what: str, home: Holdfast, sources: Path, tmp_path: Path, relay: int
) -> None:
    """It acknowledges nothing that is not here."""
    into = tmp_path / "into"
    into.mkdir()
    program = william_with_relay(tmp_path / "wormhole-william", relay)
    with william_send_file(str(home.relay), sources / what, program) as sender:
        ended = received(home, sender, into)
        assert (ended.status, ended.out) == (0, f"{into / what}\n"), ended
        assert sender.wait().status == 0
    assert contents(into / what) == contents(sources / what)


def test_through_a_relay(home: Holdfast, sources: Path, tmp_path: Path, relay: int) -> None:
    """Where neither side can connect to the other, both connect to the relay."""
    transit = f"tcp:[::1]:{relay}"
    words = ("send", sources / "räport.pdf", "--no-listen", "--transit", transit)
    with home.start(*words) as sender:
        code = sender.wait_for(CODE)[1]
        with wormhole_receive_file(str(home.relay), code, tmp_path, transit) as receiver:
            assert receiver.wait().status == 0, receiver.describe()
        assert sender.wait().status == 0
    assert contents(tmp_path / "räport.pdf") == contents(sources / "räport.pdf")
