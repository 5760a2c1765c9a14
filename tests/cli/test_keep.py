"""Who holds connections when their process dies: who may, how many, under which names."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from holdfast.operating import keeper as keeping
from holdfast.operating.descriptor_store import DescriptorStore, handed_over
from holdfast.operating.keeper import KeepingProcess, listen
from holdfast.operating.keepers import (
    KeeperClient,
    NoKeeper,
    default_socket,
    keeper_for,
    kept_in_words,
)
from holdfast.operating.supervising import Manager
from holdfast.transit.keeping import Kept, flow_of, tag_of
from holdfast.transit.positions import Position
from tests.harness.keepers import Keeper, Store
from tests.harness.process import Holdfast
from tests.harness.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has what it needs")

FLOW, TAG = flow_of("0" * 32), tag_of(bytes(32))
NAME = Kept(FLOW, TAG, Position(100, 90)).name
OTHER = Kept(flow_of("1" * 32), TAG, Position(1, 2)).name


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def ended(theirs: socket.socket) -> bool:
    """Whether nobody has the other end any more."""
    theirs.settimeout(0)
    try:
        return theirs.recv(1) == b""
    except BlockingIOError:
        return False


class Time:
    """Seconds that go by as a test wants."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Served:
    """A keeper in this process, which does what waits whenever somebody asks."""

    def __init__(self, path: Path, most: int = 2) -> None:
        self.path, self.time = path, Time()
        self.process = KeepingProcess(listen(path), most, now=self.time)
        self._clients = ExitStack()

    def client(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._clients.enter_context(made)
        made.settimeout(10)
        made.connect(str(self.path))
        self.process.serve(0)
        return made

    def ask(self, client: socket.socket, said: str, *descriptors: int) -> tuple[str, list[int]]:
        socket.send_fds(client, [said.encode()], descriptors)
        self.process.serve(0)
        answer, found, *_ = socket.recv_fds(client, 400, 4)
        return answer.decode(), found

    def close(self) -> None:
        self._clients.close()
        self.process.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with closing(Served(tmp_path / "sub" / "keeper")) as made:
        yield made


def test_for_its_user_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The socket's mode lets nobody else in; and if somebody comes in, they are not heard."""
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.path.parent.stat().st_mode) == 0o700
    monkeypatch.setattr(keeping.os, "geteuid", lambda: os.getuid() + 1)
    assert served.client().recv(1) == b""


def test_it_must_be_known_to_be_taken(
    served: Served, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Whoever does not know the key of a connection cannot ask for it, nor learn its name."""
    dead, other = served.client(), served.client()
    assert served.ask(dead, f"keep {NAME}", pair[0].fileno()) == ("ok", [])
    dead.close()
    served.process.serve(0)
    wrong = tag_of(b"1" * 32)
    for said in (f"take {FLOW} {wrong}", f"take {FLOW} ", f"take {FLOW}", f"take  {TAG}", "take"):
        answer, found = served.ask(other, said)
        assert (answer in ("none", "refused"), found) == (True, []), said
    assert served.ask(other, "count") == ("1 of 2", [])
    answer, [found] = served.ask(other, f"take {FLOW} {TAG}")
    assert answer == f"here {NAME}"
    with socket.socket(fileno=found) as taken:
        taken.send(b"x")
        assert pair[1].recv(1) == b"x"


def test_one_at_a_time(served: Served, pair: tuple[socket.socket, socket.socket]) -> None:
    """What somebody who lives uses is not given away, until they let go of it."""
    one, other = served.client(), served.client()
    served.ask(one, f"keep {NAME}", pair[0].fileno())
    take = f"take {FLOW} {TAG}"
    assert served.ask(one, take) == served.ask(other, take) == ("busy", [])
    served.ask(other, f"release {NAME}")
    assert served.ask(other, take) == ("busy", []), "it was not theirs"
    served.ask(one, f"release {NAME}")
    answer, [found] = served.ask(other, take)
    os.close(found)
    assert answer.startswith("here ")
    assert served.ask(one, take) == ("busy", [])


def test_dropped(served: Served, pair: tuple[socket.socket, socket.socket]) -> None:
    """What it is told to close, what has ended, and what nobody wants for long."""
    client = served.client()
    for ends in ("told", "over", "alone"):
        ours, theirs = socket.socketpair()
        with theirs:
            with ours:
                served.ask(client, f"keep {NAME}", ours.fileno())
            assert not ended(theirs)
            if ends == "told":
                served.ask(client, f"drop {FLOW}")
            elif ends == "over":
                theirs.close()
            else:
                served.ask(client, f"release {NAME}")
                served.time.now = keeping.ALONE
            served.process.serve(0)
            assert served.ask(client, "count") == ("0 of 2", [])
            assert ends == "over" or ended(theirs)


def test_bounds(served: Served, pair: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """So many, under names as we make them, and only connections; all else is closed at once."""
    client, (ours, theirs) = served.client(), pair
    with (tmp_path / "file").open("w") as file:
        refused: list[tuple[str, list[int]]] = [
            (f"keep {NAME}", []),
            (f"keep {NAME}", [file.fileno()]),
            ("keep ../x", [ours.fileno()]),
            (f"keep {NAME}\0", [ours.fileno()]),
            ("", [ours.fileno()]),
            ("hello", [ours.fileno()]),
        ]
        for said, descriptors in refused[:4] + refused[5:]:
            assert served.ask(client, said, *descriptors) == ("refused", [])
    assert served.ask(client, f"keep {NAME}", ours.fileno()) == ("ok", [])
    assert served.ask(client, f"keep {OTHER}", ours.fileno()) == ("ok", [])
    third = Kept(flow_of("2" * 32), TAG, Position(1, 2)).name
    assert served.ask(client, f"keep {third}", ours.fileno()) == ("full", [])
    assert served.ask(client, f"keep {NAME}", ours.fileno()) == ("ok", []), "it takes its place"
    served.process.close()
    ours.close()
    assert ended(theirs)


def test_two_keepers(tmp_path: Path) -> None:
    """One listens; the socket of one that was killed is in nobody's way."""
    path = tmp_path / "keeper"
    first = listen(path)
    with pytest.raises(FileExistsError):
        listen(path)
    first.close()
    listen(path).close()
    other = tmp_path / "file"
    other.touch()
    with pytest.raises(FileExistsError):
        listen(other)


def test_the_command(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    """A process that dies leaves its connection there; the command ends as it is told to."""
    ours, theirs = pair
    home = Holdfast(tmp_path)
    words = ("keep", "--socket", tmp_path / "keeper", "--most", "1")
    with home.start(*words) as process:
        process.wait_for("^keeping connections: ")
        client = KeeperClient(tmp_path / "keeper")
        assert client.keep(NAME, ours.fileno())
        assert not client.keep(OTHER, ours.fileno())
        assert client.count() == "1 of 1"
        ours.close()
        client.close()  # as the death of this process does
        found = until(lambda: client.take(FLOW, TAG), "it is not free")
        assert found is not None
        assert (found[0], os.get_inheritable(found[1])) == (NAME, False)
        os.close(found[1])
        second = home.run(*words)
        assert (second.status, "already" in second.err) == (2, True), second
        process.terminate()
        assert process.wait().status == 0
    assert ended(theirs)
    assert not (tmp_path / "keeper").exists()
    assert client.take(FLOW, TAG) is None
    with pytest.raises(NoKeeper):
        client.count()


def test_a_store(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    """What systemd stores of one process it hands to the next, and that closes what is not used."""
    ours, theirs = pair
    with Store(tmp_path) as unit:
        manager = Manager(unit.env["NOTIFY_SOCKET"])
        first = DescriptorStore(manager)
        assert first.keep(NAME, ours.fileno())
        assert unit.held() == 1, "it had heard of it before `keep` returned"
        assert first.take(FLOW, TAG) is None, "it is in use"
        first.release(NAME)
        next_one = DescriptorStore(manager, {NAME: os.dup(ours.fileno())})
        assert next_one.take(FLOW, tag_of(b"1" * 32)) is None
        found = next_one.take(FLOW, TAG)
        assert found is not None
        os.close(found[1])
        next_one.close_unused()
        assert not ended(theirs)
        next_one.release(NAME)
        next_one.close_unused()
        until(lambda: unit.held() == 0, "it is stored still")
        first.drop(FLOW)
    ours.close()
    assert ended(theirs)


def test_what_systemd_hands_over(tmp_path: Path) -> None:
    """Only what is ours, only for this process, and nothing for children."""
    names = f"other:{NAME}:{OTHER}"
    environ = {"LISTEN_PID": "7", "LISTEN_FDS": "0", "LISTEN_FDNAMES": names, "PATH": ""}
    assert handed_over(environ, 7) == {}
    assert environ == {"PATH": ""}
    assert handed_over({"LISTEN_PID": "8", "LISTEN_FDS": "3", "LISTEN_FDNAMES": names}, 7) == {}
    assert handed_over({"LISTEN_PID": "7", "LISTEN_FDS": "x", "LISTEN_FDNAMES": names}, 7) == {}


def test_which_keeper(tmp_path: Path) -> None:
    """What is named, else a service's unit, else where `holdfast keep` listens by default."""
    here, unit = Manager(), Manager("/run/notify")
    named = keeper_for({"HOLDFAST_KEEPER": "/run/keeper"}, unit)
    assert isinstance(named, KeeperClient)
    assert named.path == Path("/run/keeper")
    assert keeper_for({"HOLDFAST_KEEPER": "none"}, unit) is None
    assert isinstance(keeper_for({}, unit), DescriptorStore)
    default = keeper_for({}, here)
    assert isinstance(default, KeeperClient)
    assert default.path == default_socket()


def test_a_keeper_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Nothing is given to another user's process, which may have put its socket there."""
    with Keeper(tmp_path) as keeper:
        client = KeeperClient(keeper.path)
        monkeypatch.setattr("holdfast.operating.keepers.user_of", lambda _: 12345)
        assert not client.keep(NAME, pair[0].fileno())
        assert keeper.held() == 0


def test_one_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """It holds transfers up once, and is then left alone for a while."""
    monkeypatch.setattr("holdfast.operating.keepers.PATIENCE", 0.05)
    with listen(tmp_path / "keeper"):
        client = KeeperClient(tmp_path / "keeper")
        assert not client.keep(NAME, pair[0].fileno())
        monkeypatch.setattr("holdfast.operating.keepers.PATIENCE", 600.0)
        assert client.take(FLOW, TAG) is None
        client.close()


def test_in_words(served: Served, tmp_path: Path) -> None:
    """The doctor says whether there is a keeper."""
    with Keeper(tmp_path) as keeper:
        assert kept_in_words(keeper.env) == "'holdfast keep' holds 0 of 1000 connections"
    away = f"no 'holdfast keep' answers at {keeper.path}"
    assert kept_in_words(keeper.env) == away
    assert "HOLDFAST_KEEPER is none" in kept_in_words({"HOLDFAST_KEEPER": "none"})
    assert "its unit's store" in kept_in_words({})
