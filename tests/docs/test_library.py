"""The examples of `docs/library.md`, with a stock peer, or one another, at the other end."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.conftest import DOCS, EXAMPLES, Run
from tests.harness import reactor
from tests.harness.process import BIN
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

QUICK = "example.com/quick"
CODE = r"^code: (\d+-\w+-\w+)$"


def answer(server: MailboxServer, code: str, *messages: bytes, appid: str = QUICK) -> list[bytes]:
    """Be the stock peer: send these, and return what came for each of them."""

    async def exchange() -> list[bytes]:
        peer = StockPeer(server.url, appid=appid)
        peer.wormhole.set_code(code)
        for message in messages:
            peer.wormhole.send_message(message)
        came = [await peer.wormhole.get_message() for _ in messages]
        assert await peer.close() == "happy"
        return came

    return reactor.run(exchange, timeout=60)


def test_the_quick_example(run: Run, server: MailboxServer) -> None:
    """The first example of the README and of the manual sends and receives one message."""
    child = run("quick.py")
    code = child.wait_for(CODE)[1]
    assert answer(server, code, b"inbound") == [b"outbound data"]
    ended = child.wait()
    assert (ended.status, ended.out, ended.err) == (0, f"code: {code}\ngot: b'inbound'\n", "")


def test_both_modes(run: Run) -> None:
    """The example of Deferred mode and that of delegated mode are the two ends of one wormhole."""
    quick = run("quick.py")
    code = quick.wait_for(CODE)[1]
    delegated = run("delegated.py", code).wait()
    assert delegated.out == f"code: {code}\ngot data, 13 bytes\nclosed: happy\n"
    assert quick.wait().out.endswith("got: b'thanks'\n")
    assert (delegated.status, delegated.err) == (0, "")


def test_bulk_data(run: Run) -> None:
    """The example's two ends send a megabyte past the server."""
    sender = run("bulk.py")
    code = sender.wait_for(CODE)[1]
    receiver = run("bulk.py", code).wait()
    assert (receiver.status, receiver.out, receiver.err) == (0, "", "")
    ended = sender.wait()
    assert ended.out == f"code: {code}\nthe other side says: 1,000,000 bytes came\n"
    assert (ended.status, ended.err) == (0, "")


def test_a_typed_code(run: Run) -> None:
    """The example that lets somebody type the code takes it from its standard input."""
    quick = run("quick.py")
    code = quick.wait_for(CODE)[1]
    typed = run("typed.py", stdin=subprocess.PIPE)
    typed.write(f"{code}\n")
    assert typed.wait().out == "Wormhole code: got: b'outbound data'\n"
    assert quick.wait().status == 0


@pytest.mark.parametrize(
    ("words", "said"), [("no code", "The code has no hyphen"), ("", "used a different code")]
)
def test_a_mistyped_code(run: Run, words: str, said: str) -> None:
    """What is malformed, or not the code, is told."""
    quick = run("quick.py")
    code = quick.wait_for(CODE)[1]
    typed = run("typed.py", stdin=subprocess.PIPE)
    typed.write(f"{words or code + '-more'}\n")
    ended = typed.wait()
    assert (ended.status, ended.err) == (0, "")
    assert said in ended.out
    if not words:
        assert "WrongPasswordError" in quick.wait().err


@pytest.mark.parametrize("approved", ["yes", "no"])
def test_the_verifier(run: Run, server: MailboxServer, approved: str) -> None:
    """Nothing is sent before somebody has said that the verifiers are equal."""
    child = run("verified.py", stdin=subprocess.PIPE)
    code = child.wait_for(CODE)[1]

    async def exchange() -> bytes:
        peer = StockPeer(server.url, appid=QUICK)
        peer.wormhole.set_code(code)
        verifier = (await peer.wormhole.get_verifier()).hex()
        await reactor.until(lambda: f"have {verifier}? " in child.out, "the question")
        child.write(f"{approved}\n")
        message: bytes = await peer.wormhole.get_message() if approved == "yes" else b""
        await peer.close()
        return message

    assert reactor.run(exchange, timeout=60) == (b"outbound data" if approved == "yes" else b"")
    assert child.wait().status == 0


def test_the_journaled_program(run: Run, server: MailboxServer, tmp_path: Path) -> None:
    """Killed and started again it has the same code, tells everything once, and knows the end."""
    with run("journaled.py") as first:
        code = first.wait_for(CODE)[1]
        first.kill9()
    assert (tmp_path / "greeting.json").stat().st_mode & 0o777 == 0o600
    second = run("journaled.py")
    second.wait_for(f"^going on; code: {code} answer: None$")
    assert answer(server, code, b"good day", appid="example.com/greeting") == [b"hello"]
    ended = second.wait()
    assert ended.out.endswith("\nanswer: good day result: happy\n")
    assert (ended.status, ended.err) == (0, "")
    third = run("journaled.py").wait()
    assert third.out == f"going on; code: {code} answer: good day\n"
    saved = json.loads((tmp_path / "greeting.json").read_text())
    assert saved["data"] == {"code": code, "answer": "good day", "result": "happy"}


def test_status_and_timing(run: Run, server: MailboxServer, tmp_path: Path) -> None:
    """The connection and the key are told, and what was recorded can be drawn."""
    child = run("watched.py")
    code = child.wait_for(CODE)[1]
    child.wait_for(f"^connected to {server.url}$")

    async def exchange() -> None:
        peer = StockPeer(server.url, appid=QUICK)
        peer.wormhole.set_code(code)
        peer.wormhole.send_message(b"hello")
        await peer.wormhole.get_versions()
        await peer.close()

    reactor.run(exchange, timeout=60)
    ended = child.wait()
    assert (ended.status, ended.err) == (0, "")
    assert "the peer knows the code\n" in ended.out
    drawn = subprocess.run(
        [BIN / "holdfast", "timing", "timing.json", "--out", "timing.html"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert drawn.stdout == "drawn: timing.html\n"
    assert "wormhole_got_message" in (tmp_path / "timing.html").read_text()


def test_tor_or_nothing(run: Run, server: MailboxServer) -> None:
    """Where there is no Tor, the example says so, and nothing is connected."""
    ended = run("through_tor.py", "tcp:127.0.0.1:1", "5-no-tor").wait()
    assert ended.status == 1
    assert ended.err.startswith("Tor cannot be used: ")
    assert ended.err.count("\n") == 1


def test_the_readme_prints_the_examples() -> None:
    """Each Python block of the README is, letter for letter, an example that is run here."""
    readme = (DOCS.parent / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    examples = [each.read_text() for each in EXAMPLES.glob("*.py")]
    assert len(blocks) == 2
    for block in blocks:
        assert block in examples


def test_every_example_is_in_the_manual() -> None:
    """No example is left over that no page shows."""
    pages = "".join(each.read_text() for each in DOCS.glob("*.md"))
    for each in EXAMPLES.glob("*.py"):
        assert f"examples/{each.name}" in pages
