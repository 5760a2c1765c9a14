"""Peers and relays that follow no protocol, over real sockets: both sides hear a clear error.

Whatever they do, nothing is written outside the directory, nothing hidden is left in it, nothing
has the name of what was to come, and it does not take long.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from holdfast.flows.engine import looking
from holdfast.flows.shipped import carrying, measuring, receiving, sending  # noqa: F401
from holdfast.flows.shipped.opening import liked_ciphers
from holdfast.flows.shipped.receive import ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.shipped.transferring import Ways
from holdfast.transit import attempt
from holdfast.transit.records import Opener, Sealer
from holdfast.transit.wire import SocketWire
from holdfast_journal import FlowRow
from tests.flows import hostile
from tests.flows.acting import Client
from tests.flows.hostile import Line, Listener, Script, World, key_of
from tests.harness import reactor

DATA = bytes(range(100))
DIGEST = sha256(DATA).hexdigest()
FILE = {"file": {"filename": "it", "filesize": len(DATA)}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "LOOK_EVERY", 0.02)
        patch.setattr(carrying, "HEAR_WHY", 0.02)
        yield from hostile.world(tmp_path_factory.mktemp("journal"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Shortens one of the times that are waited."""

    def shorten(which: str) -> None:
        if which == "connecting":
            monkeypatch.setattr(carrying, "CONNECT_WITHIN", 0.3)
        elif which == "handshake":
            monkeypatch.setattr(attempt, "HANDSHAKE_TIME", 0.3)
        else:
            monkeypatch.setitem(SocketWire.__init__.__kwdefaults__, "idle", 0.3)

    return shorten


def receive(
    world: World,
    script: Script,
    out: Path,
    *,
    offer: Any = FILE,
    said: list[Any] | None = None,
    resumes: bool = False,
) -> tuple[FlowRow, Client, Listener]:
    """Let a flow receive what a scripted sender offers and does."""

    async def doing() -> tuple[FlowRow, Client, Listener]:
        listener = Listener(script, "sender")
        listener.start()
        client = Client(world.network, resumes=resumes)
        client.wormhole.allocate_code()
        code = await reactor.until(lambda: client.wormhole.exchange.code.data.code, "a code")
        ways = Ways(listen=False)
        name = world.start(ReceiveToFile(code=code, out=str(out), accept=True, ways=ways))
        await reactor.until(lambda: client.got, "the flow")
        listener.keys = key_of(client)
        client.say({"transit": {"hints-v1": listener.hints if said is None else said}})
        client.say({"offer": offer})
        row = await world.end(name)
        client.close()
        listener.close()
        return row, client, listener

    return reactor.run(doing)


def stolen(line: Line, *, order: tuple[int, ...], plain: tuple[bytes, ...]) -> None:
    records = [line.sealer.seal(each) for each in plain]
    line.shake()
    for number in order:
        line.write(records[number])
    line.record()


def breaking(*bytes_after: bytes, stays: bool = True) -> Script:
    """Send these after the handshake, and stay, or go."""

    def script(line: Line) -> None:
        line.shake()
        for each in bytes_after:
            line.write(each)
        if stays:
            line.read(1)

    return script


def truncated(line: Line) -> None:
    line.shake()
    line.say(DATA[:50])


def changed(line: Line) -> None:
    line.shake()
    record = bytearray(line.sealer.seal(DATA))
    record[-1] ^= 1
    line.write(bytes(record))
    line.read(1)


def too_much(line: Line) -> None:
    line.shake()
    line.say(DATA + b"x")
    line.read(1)


def nevermind(line: Line) -> None:
    line.write(line.keys.sender_line)
    line.read(len(line.keys.receiver_line))
    line.write(b"nevermind\n")


def own_line(line: Line) -> None:
    line.write(line.keys.receiver_line)
    line.read(1)


ENDED = "the connection ended after 0 of 100 bytes"


@pytest.mark.parametrize(
    ("script", "words", "kept"),
    [
        (truncated, "the connection ended after 50 of 100 bytes", 50),
        (too_much, f"{ENDED} (the other side sent more than it offered)", 0),
        (changed, f"{ENDED} (a record was not sealed by the other side", 0),
        (
            lambda line: stolen(line, order=(1, 0), plain=(DATA[:50], DATA[50:])),
            f"{ENDED} (the other side sent a record out of order)",
            0,
        ),
        (
            lambda line: stolen(line, order=(0, 0), plain=(DATA[:50],)),
            "after 50 of 100 bytes (the other side sent a record out of order)",
            50,
        ),
        (breaking(b"\xff" * 100), f"{ENDED} (the other side sent a record of 4294967295 bytes)", 0),
        (breaking(bytes(100)), f"{ENDED} (the other side sent a record of 0 bytes)", 0),
        (breaking(b"\0\0\0\x27" + bytes(39)), "a record of 39 bytes", 0),
        (breaking(stays=False), f"{ENDED} (the other side closed the connection)", 0),
        (nevermind, "no connection to the other side", None),
        (own_line, "no connection to the other side", None),
        (lambda line: line.write(b"HTTP/1.1 400 no\r\n"), "something else answered", None),
        (lambda line: None, "the other side closed the connection", None),
    ],
)
def test_senders(
    world: World, tmp_path: Path, script: Script, words: str, kept: int | None
) -> None:
    """What came before the fault is kept under a name of its own, and nothing else is there."""
    row, client, listener = receive(world, script, tmp_path / "out")
    assert row.status == "failed"
    reason = str((row.published or {})["reason"])
    assert words in reason
    assert client.heard_of("error") == [reason]
    assert [each.name for each in tmp_path.iterdir()] == (["out.part"] if kept else [])
    if kept:
        assert (tmp_path / "out.part").read_bytes() == DATA[:kept]
        assert f"kept in {tmp_path}/out.part" in reason
    assert listener.errors == []


@pytest.mark.parametrize(
    ("script", "waits_for", "words"),
    [
        (breaking(b"\0\1\0\0" + bytes(30)), "a record", f"{ENDED} (nothing has moved for"),
        (breaking(), "a record", f"{ENDED} (nothing has moved for"),
        (lambda line: line.read(1), "handshake", "the other side was silent"),
        (
            lambda line: (line.write(line.keys.sender_line[:50]), line.read(1)),
            "handshake",
            "the other side was silent",
        ),
    ],
)
def test_silent_senders(
    world: World,
    tmp_path: Path,
    impatient: Callable[[str], None],
    script: Script,
    waits_for: str,
    words: str,
) -> None:
    """Whoever says nothing more is given up."""
    impatient(waits_for)
    row, client, _ = receive(world, script, tmp_path / "out")
    reason = str((row.published or {})["reason"])
    assert row.status == "failed"
    assert words in reason
    assert client.heard_of("error") == [reason]
    assert not list(tmp_path.iterdir())


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return into.getvalue()


@pytest.mark.parametrize(
    ("archive", "numbytes"),
    [
        (zipped(("a", bytes(30_000_000)), method=zipfile.ZIP_DEFLATED), 100),
        (zipped(("../escaped", b"x")), 1),
        (zipped(("/tmp/escaped", b"x")), 1),
        (zipped(("ok", b"x"), ("../in/escaped", b"x")), 2),
        (zipped(("a", b"x"), ("b", b"x"), *((f"c{n}", b"") for n in range(50))), 2),
        (b"no archive at all", 1),
    ],
    ids=["bomb", "escapes", "absolute", "escapes later", "too many", "garbage"],
)
def test_folders(world: World, tmp_path: Path, archive: bytes, numbytes: int) -> None:
    """None of it is unpacked; the archive is kept, and the sender hears why."""
    into = tmp_path / "in"
    into.mkdir()

    def script(line: Line) -> None:
        line.shake()
        line.say(archive)
        line.read(1)

    offer = {
        "directory": {
            "mode": "zipfile/deflated",
            "dirname": "out",
            "zipsize": len(archive),
            "numbytes": numbytes,
            "numfiles": 1,
        }
    }
    row, client, _ = receive(world, script, into / "out", offer=offer)
    assert row.status == "failed"
    assert client.heard_of("error") == [(row.published or {})["reason"]]
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
    assert [each.name for each in into.iterdir()] == ["out.zip"]
    assert (into / "out.zip").read_bytes() == archive


def good(line: Line) -> None:
    line.shake()
    line.say(b"", DATA[:30], b"", DATA[30:])
    assert json.loads(line.record()) == {"ack": "ok", "sha256": DIGEST}


@pytest.mark.parametrize("many", [False, True])
def test_hints(world: World, tmp_path: Path, many: bool) -> None:
    """With 10,000 hints no more than 50 are dialled; one good one is enough."""

    def script(line: Line) -> None:
        if line.socket.getsockname()[0] == "127.0.0.1":
            good(line)
            assert (tmp_path / "out").read_bytes() == DATA, "it is there before that is said"

    holder: list[Listener] = []

    def hostile_hints(port: int) -> list[dict[str, Any]]:
        return [
            {"type": "direct-tcp-v1", "hostname": f"127.0.{n // 250}.{n % 250 + 1}", "port": port}
            for n in range(10_000 if many else 1)
        ]

    async def doing() -> FlowRow:
        listener = Listener(script, "sender")
        holder.append(listener)
        listener.start()
        client = Client(world.network, resumes=False)
        client.wormhole.allocate_code()
        code = await reactor.until(lambda: client.wormhole.exchange.code.data.code, "a code")
        name = world.start(
            ReceiveToFile(
                code=code, out=str(tmp_path / "out"), accept=True, ways=Ways(listen=False)
            )
        )
        await reactor.until(lambda: client.got, "the flow")
        listener.keys = key_of(client)
        client.say({"transit": {"hints-v1": hostile_hints(listener.port)}})
        client.say({"offer": FILE})
        row = await world.end(name)
        client.close()
        listener.close()
        return row

    row = reactor.run(doing)
    assert (row.status, (tmp_path / "out").read_bytes()) == ("done", DATA)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    assert holder[0].errors == []
    assert holder[0].accepted <= 50


def send(
    world: World,
    script: Script,
    path: Path,
    *,
    said: list[Any] | None = None,
    relay: bool = False,
    resumes: bool = False,
) -> tuple[FlowRow, Client, Listener]:
    """Let a flow send to a scripted receiver, or through a scripted relay."""

    async def doing() -> tuple[FlowRow, Client, Listener]:
        path.write_bytes(DATA)
        listener = Listener(script, "receiver")
        listener.start()
        relays = [f"127.0.0.1:{listener.port}"] if relay else []
        name = world.start(SendFile(paths=[str(path)], ways=Ways(relays=relays, listen=False)))
        await reactor.until(lambda: (world.row(name).published or {}).get("code"), "a code")
        client = Client(world.network, resumes=resumes)
        client.enter(str((world.row(name).published or {})["code"]))
        await reactor.until(lambda: client.heard_of("offer"), "the offer")
        listener.keys = key_of(client)
        client.say({"transit": {"hints-v1": [] if relay else listener.hints}})
        client.say({"answer": {"file_ack": "ok"}})
        row = await world.end(name)
        client.close()
        listener.close()
        return row, client, listener

    return reactor.run(doing)


def acknowledging(ack: bytes) -> Script:
    """Take all, and then say this."""

    def script(line: Line) -> None:
        line.shake()
        assert line.record() == DATA
        line.say(ack)
        line.read(1)

    return script


def taking_and_closing(line: Line) -> None:
    line.shake()
    line.record()


def answering(said: object) -> Script:
    return acknowledging(json.dumps(said).encode())


NOT_IT = "the recipient's client received something else than what was sent"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (answering({"ack": "ok", "sha256": DIGEST}), ""),
        (answering({"ack": "ok", "sha256": DIGEST.upper()}), ""),
        (answering({"ack": "ok"}), ""),
        (answering({"ack": "ok", "sha256": "00" * 32}), NOT_IT),
        (answering({"ack": "ok", "sha256": [7]}), NOT_IT),
        (answering({"ack": "no", "sha256": DIGEST}), NOT_IT),
        (answering({}), NOT_IT),
        (answering([]), "everything was sent, but the recipient has not confirmed it"),
        (acknowledging(b"\xff"), "cannot be read"),
        (acknowledging(b" " * 100_000), "too long"),
        (taking_and_closing, "has not confirmed it (the other side closed the connection)"),
        (
            lambda line: (line.shake(), line.write(bytes(8)), line.read(1000)),
            "(the other side sent a record of 0 bytes)",
        ),
        (lambda line: line.write(b"nonsense"), "no connection to the other side"),
        (lambda line: line.write(line.keys.sender_line), "no connection to the other side"),
    ],
)
def test_receivers(world: World, tmp_path: Path, script: Script, words: str) -> None:
    """Only the right digest is a success; a receiver may leave it out, or write it in capitals."""
    row, client, listener = send(world, script, tmp_path / "it")
    reason = str((row.published or {}).get("reason") or "")
    assert row.status == ("failed" if words else "done"), reason
    assert words in reason
    # That it has something else is no news to it.
    assert client.heard_of("error") == ([reason] if words and words != NOT_IT else [])
    assert listener.errors == []


def as_a_relay(answer: bytes, *, echoes: bool = False, stays: bool = True) -> Script:
    def script(line: Line) -> None:
        line.read(len(line.keys.relay_line("0" * 16)))
        line.write(answer)
        while echoes and (data := line.socket.recv(1000)):
            line.write(data)
        if stays:
            line.read(1000)
            line.read(1)

    return script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (as_a_relay(b"ok\n", echoes=True), "something else answered"),
        (as_a_relay(b"ok\n"), "the other side was silent"),
        (as_a_relay(b"bad handshake\n"), "the relay refused"),
        (as_a_relay(b"\0" * 5000), "the relay refused"),
        (as_a_relay(b"ok\nok\nok\n"), "something else answered"),
        (as_a_relay(b"", stays=False), "the other side closed the connection"),
        (as_a_relay(b""), "within 0.3 seconds"),
    ],
    ids=["ourselves", "silence", "refuses", "garbage", "more", "closes", "waits"],
)
def test_relays(
    world: World,
    tmp_path: Path,
    impatient: Callable[[str], None],
    script: Script,
    words: str,
) -> None:
    """A relay that lies, or connects us with ourselves, is a connection that is not to be had."""
    if "silent" in words:
        impatient("handshake")
    elif "within" in words:
        impatient("connecting")
    row, client, _ = send(world, script, tmp_path / "it", relay=True)
    reason = str((row.published or {})["reason"])
    assert row.status == "failed"
    assert reason.startswith("no connection to the other side")
    assert words in reason
    assert client.heard_of("error") == [reason]


def resuming(line: Line) -> Line:
    """The records of a connection between two Holdfasts."""
    line.shake()
    ours = bytes(32)
    line.write(ours)
    theirs = line.read(32)
    sends = line.role == "sender"
    keys = line.keys.fresh(*((ours, theirs) if sends else (theirs, ours)))
    line.sealer = Sealer(keys.record_key(line.role))
    line.opener = Opener(keys.record_key("receiver" if sends else "sender"))
    return line


@pytest.mark.parametrize("offset", [-1, 101, 2**70, "1", None, True, 1.0])
def test_a_holdfast_that_claims_too_much(world: World, tmp_path: Path, offset: Any) -> None:
    """It is over for both: another connection would be the same."""

    def script(line: Line) -> None:
        resuming(line).say(json.dumps({"offset": offset, "sha256": DIGEST}).encode())
        line.read(1)

    row, client, listener = send(world, script, tmp_path / "it", resumes=True)
    reason = str((row.published or {})["reason"])
    assert "says that it has what there is not" in reason
    assert client.heard_of("error") == [reason]
    assert (listener.accepted, listener.errors) == (1, [])


@pytest.mark.parametrize(
    ("offset", "more"),
    [
        (0, {}),
        (40, {}),
        (0, {"ciphers": [None, "rot13"]}),
        (0, {"ciphers": "aes-256-gcm"}),
        (0, {"ciphers": None}),
    ],
)
def test_a_holdfast_whose_disk_lost_something(
    world: World, tmp_path: Path, offset: int, more: dict[str, Any]
) -> None:
    """If it has something else, it gets all of it again; what it acknowledges is checked.

    It is served as other clients are, unless it names a cipher that is known here.
    """

    def script(line: Line) -> None:
        has = {"offset": offset, "sha256": "00" * 32, **more}
        resuming(line).say(json.dumps(has).encode())
        assert json.loads(line.record()) == {"from": 0}
        assert line.record() == DATA
        line.say(json.dumps({"ack": "ok", "sha256": DIGEST}).encode())
        line.read(1)

    row, _, listener = send(world, script, tmp_path / "it", resumes=True)
    assert (row.status, listener.errors) == ("done", [])


@pytest.mark.parametrize(
    ("answer", "complains_of"),
    [
        *(({"from": start}, "begins in a place") for start in (-1, 1, 50, None, "0")),
        *(({"from": 0, "cipher": cipher}, "seals in a way") for cipher in ("rot13", [], 1, "")),
    ],
)
def test_a_holdfast_that_begins_elsewhere(
    world: World, tmp_path: Path, answer: dict[str, Any], complains_of: str
) -> None:
    """Or with a cipher that we did not name: nothing of it is written, and the flow ends."""

    def script(line: Line) -> None:
        asked = json.loads(resuming(line).record())
        digest = sha256(b"").hexdigest()
        assert asked == {"offset": 0, "sha256": digest, "ciphers": liked_ciphers()}
        line.say(json.dumps(answer).encode(), DATA)
        line.read(1)

    row, client, listener = receive(world, script, tmp_path / "out", resumes=True)
    reason = str((row.published or {})["reason"])
    assert f"{complains_of} that was not agreed on" in reason
    assert client.heard_of("error") == [reason]
    assert not list(tmp_path.iterdir())
    assert (listener.accepted, listener.errors) == (1, [])


def test_a_holdfast_that_sends_something_else(world: World, tmp_path: Path) -> None:
    """The digest of its offer is not that of what came: nothing has the name."""

    def script(line: Line) -> None:
        resuming(line).record()
        line.say(b'{"from": 0}', bytes(100))
        line.read(1)

    offer = {"file": {**FILE["file"], "sha256": DIGEST}}
    row, client, _ = receive(world, script, tmp_path / "out", offer=offer, resumes=True)
    assert client.heard_of("error") == [(row.published or {})["reason"]]
    assert "not what was offered" in client.heard_of("error")[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("resumes", [False, True], ids=["stock", "holdfast"])
def test_an_error_in_the_middle(world: World, tmp_path: Path, resumes: bool) -> None:
    """A sender that gives up says why; of what came nothing hidden stays."""
    clients: list[Client] = []

    def script(line: Line) -> None:
        if resumes:
            resuming(line).record()
            line.say(b'{"from": 0}')
        else:
            line.shake()
        line.say(DATA[:50])
        world.reactor.callFromThread(clients[0].say, {"error": "the disk broke\x07"})
        line.read(1)

    async def doing() -> FlowRow:
        listener = Listener(script, "sender")
        listener.start()
        clients.append(Client(world.network, resumes=resumes))
        client = clients[0]
        client.wormhole.allocate_code()
        code = await reactor.until(lambda: client.wormhole.exchange.code.data.code, "a code")
        ways = Ways(listen=False)
        out = str(tmp_path / "out")
        name = world.start(ReceiveToFile(code=code, out=out, accept=True, ways=ways))
        await reactor.until(lambda: client.got, "the flow")
        listener.keys = key_of(client)
        client.say({"transit": {"hints-v1": listener.hints}})
        client.say({"offer": FILE})
        row = await world.end(name)
        await reactor.until(
            lambda: not any(each.name.startswith(".") for each in tmp_path.iterdir()),
            "nothing is hidden",
        )
        client.close()
        listener.close()
        return row

    row = reactor.run(doing)
    assert row.status == "failed"
    assert (row.published or {})["reason"] == "the sender's client said: the disk broke "
    assert clients[0].heard_of("error") == []
    assert {each.name for each in tmp_path.iterdir()} <= (set() if resumes else {"out.part"})
