"""Section "Code Management": `input_with_completion`, on a real terminal with a real server."""

import builtins
import importlib.util
import subprocess
import sys
from typing import Any

import pytest

import holdfast
from tests.api.terminal import Terminal
from tests.api.world import APPID, Delegate
from tests.harness import reactor
from tests.harness.process import Child
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

PROGRAM = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
import holdfast

wormhole = holdfast.create(sys.argv[2], sys.argv[1], reactor)
helper = wormhole.input_code()

async def go():
    try:
        while True:
            try:
                used = await holdfast.input_with_completion("Wormhole code:", helper, reactor)
                break
            except holdfast.KeyFormatError as error:
                print("\\nmalformed:", error, flush=True)
        print("\\nused:", used, "code:", await wormhole.get_code(), flush=True)
        print("message:", (await wormhole.get_message()).decode(), flush=True)
        print("closed:", await wormhole.close(), flush=True)
    except (Exception, EOFError) as error:
        print("\\nfailed:", type(error).__name__, error, flush=True)
    reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(go()))
reactor.run()
print("end of the program", flush=True)
"""


def words(server: MailboxServer) -> list[str]:
    return [sys.executable, "-c", PROGRAM, server.url, APPID]


@pytest.mark.skipif(importlib.util.find_spec("readline") is None, reason="Python has no readline")
def test_tab_completes_nameplate_and_words(mailbox: MailboxServer) -> None:
    """Tab finds the peer's nameplate on the server, then each word; the peer's message comes."""
    code = "76543-supportive-tapeworm"

    async def begin() -> StockPeer:
        stock = StockPeer(mailbox.url, appid=APPID)
        stock.wormhole.set_code(code)
        stock.wormhole.send_message(b"well typed")
        await stock.has_sent("add", "pake")
        return stock

    stock = reactor.run(begin)
    with Terminal(*words(mailbox)) as terminal:
        terminal.wait_for("Wormhole code:")
        terminal.type("765")
        terminal.press_tab_until("76543-")
        terminal.type("supp")
        terminal.press_tab_until("76543-supportive-")
        terminal.type("tapew")
        terminal.press_tab_until(code)
        terminal.type("\n")
        terminal.wait_for(f"used: True code: {code}")
        terminal.wait_for("message: well typed")
        assert reactor.run(stock.close) == "happy"
        terminal.wait_for("closed: happy")
        assert terminal.wait() == 0
        assert terminal.settings == terminal.before
    mailbox.wait_until_empty()


@pytest.mark.parametrize(("how", "typed"), [("Ctrl-C", "4-purple"), ("SIGTERM", "")])
def test_ctrl_c_ends_the_process_with_the_terminal_restored(
    mailbox: MailboxServer, typed: str, how: str
) -> None:
    """Nobody has to press Return; the reactor ends, and so does the program after it."""
    with Terminal(*words(mailbox)) as terminal:
        terminal.wait_for("Wormhole code:")
        terminal.type(typed)
        terminal.wait_for(f"Wormhole code:{typed}")
        if how == "Ctrl-C":
            terminal.type("\x03")
        else:
            terminal.terminate()
        terminal.wait_for("end of the program")
        assert terminal.wait() == 0
        assert terminal.settings == terminal.before
        assert "Traceback" not in terminal.shown
        assert "Fatal" not in terminal.shown


MALFORMED = [
    (" 4-purple-sausages", "begins with a space"),
    ("purple-sausages", "must begin with its number"),
    ("4", "The code has no hyphen"),
    ("", "The code has no hyphen"),
    ("4-purple sausages", "There is a space in the words"),
]


def test_what_is_no_code_fails_with_keyformaterror(mailbox: MailboxServer) -> None:
    """It may be asked for again; the end of the input is EOFError; the terminal is as it was."""
    with Terminal(*words(mailbox)) as terminal:
        for number, (typed, said) in enumerate(MALFORMED, 1):
            terminal.wait_for("Wormhole code:", times=number)
            terminal.type(f"{typed}\n")
            terminal.wait_for("malformed: ", times=number)
            terminal.wait_for(said)
        terminal.wait_for("Wormhole code:", times=len(MALFORMED) + 1)
        terminal.type("\x04")
        terminal.wait_for("failed: EOFError")
        assert terminal.wait() == 0
        assert terminal.settings == terminal.before


def test_without_a_terminal(mailbox: MailboxServer) -> None:
    """From a pipe: what is no code, the end of the input, and Ctrl-C while nothing comes."""
    piped = ["/bin/sh", "-c", 'echo 4-purple sausages | "$0" "$@"', *words(mailbox)]
    with Child(piped) as child:
        child.wait_for("^malformed: ")
        child.wait_for("^failed: EOFError")
        assert child.wait().status == 0
    with Child(words(mailbox), stdin=subprocess.PIPE) as child:
        reactor.run(lambda: reactor_until(child, "Wormhole code:"))
        child.interrupt()
        ended = child.wait()
        assert (ended.status, ended.err) == (0, "")
        assert "end of the program" in ended.out


async def reactor_until(child: Child, text: str) -> None:
    await reactor.until(lambda: text in child.out, text)


@pytest.mark.parametrize(
    ("typed", "outcome"),
    [("4321-purple-sausages", "code"), ("4322-purple-sausages", "KeyFormatError")],
)
def test_a_code_half_typed_in_an_earlier_life(
    mailbox: MailboxServer, monkeypatch: pytest.MonkeyPatch, typed: str, outcome: str
) -> None:
    """Its nameplate is claimed: the whole code is typed again, and must have that number."""
    from twisted.internet import reactor as real

    monkeypatch.setattr(builtins, "input", lambda prompt: typed)

    async def exchange() -> None:
        first = holdfast.create(APPID, mailbox.url, real, delegate=object())
        first.input_code().choose_nameplate("4321")
        document = first.serialize()
        first.abandon()
        delegate = Delegate()
        second = holdfast.from_serialized(document, real, delegate)
        waiting = holdfast.input_with_completion("Code: ", second.input_code(), real)
        if outcome == "code":
            assert await waiting is False
            assert delegate.got("code") == typed
        else:
            with pytest.raises(holdfast.KeyFormatError, match="4321"):
                await waiting
        second.close()
        await reactor.until(lambda: "closed" in delegate.names, "its end")

    reactor.run(exchange)


def test_the_wormhole_ends_while_somebody_types(
    mailbox: MailboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is typed then fails with how the wormhole ended, or that it is closed."""
    from twisted.internet import reactor as real

    made: list[Any] = []

    def typing(prompt: str) -> str:
        real.callFromThread(made[0].close)
        return "4-purple-sausages"

    async def exchange() -> None:
        ours = holdfast.create(APPID, mailbox.url, real, delegate=object())
        made.append(ours)
        monkeypatch.setattr(builtins, "input", typing)
        with pytest.raises(holdfast.WormholeClosed):
            await holdfast.input_with_completion("Code: ", ours.input_code(), real)

    reactor.run(exchange)
