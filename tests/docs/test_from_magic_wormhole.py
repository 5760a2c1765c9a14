"""What `docs/from-magic-wormhole.md` says of both libraries, tried on both."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest
import wormhole
import wormhole._input
import wormhole.errors
import wormhole.journal
import wormhole.timing
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError

import holdfast
import holdfast.errors
from tests.docs.conftest import DOCS
from tests.harness import reactor
from tests.harness.process import Child
from tests.harness.server import MailboxServer

APPID = "example.com/compared"
LIBRARIES: dict[str, Any] = {"stock": wormhole, "holdfast": holdfast}


COMMON = ("create", "input_with_completion")
WAYS = {
    *("allocate_code", "set_code", "input_code", "send_message", "derive_key", "close"),
    *("get_welcome", "get_code", "get_unverified_key", "get_verifier", "get_versions"),
    "get_message",
    "dilate",
}


async def outcome(do: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Return the type of the exception that this raises or fails with, or "fine"."""
    try:
        result = do(*arguments, **named)
        if isinstance(result, Deferred):
            await result
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return type(error).__name__
    return "fine"


async def closed(made: Any) -> None:
    ending: Deferred[Any] = made.close()
    ending.addErrback(lambda _: None)
    await ending


CREATING: dict[str, tuple[dict[str, Any], str, str]] = {
    "versions": ({"versions": [1]}, "fine", "TypeError"),
    "stderr": ({"stderr": None}, "fine", "fine"),
    "tor_manager": ({"tor_manager": None}, "TypeError", "fine"),
    "welcome_handler": ({"welcome_handler": print}, "TypeError", "fine"),
    "dilation": ({"dilation": True}, "fine", "fine"),
    "http": ({"relay_url": "http://127.0.0.1/"}, "ValueError", "BadRelayUrl"),
    "timing": ({"timing": wormhole.timing.DebugTiming()}, "fine", "TypeError"),
    "journal": ({"journal": wormhole.journal.ImmediateJournal()}, "fine", "CannotSerialize"),
}


@pytest.mark.parametrize("case", CREATING)
def test_create(server: MailboxServer, case: str) -> None:
    """Each argument of `create` that the table names has the two outcomes that it tells."""
    options, *expected = CREATING[case]

    async def both() -> list[str]:
        found = []
        for library in LIBRARIES.values():
            made = []

            def create(create=library.create, made=made, **arguments: Any) -> None:
                made.append(create(**arguments))

            arguments = {"appid": APPID, "relay_url": server.url, "reactor": real, **options}
            found.append(await outcome(create, **arguments))
            for each in made:
                await closed(each)
        return found

    assert reactor.run(both) == expected


def in_words(helper: Any, words: str) -> None:
    helper.choose_nameplate("4")
    helper.choose_words(words)


def completions(made: Any) -> None:
    helper = made.input_code()
    helper.choose_nameplate("45")
    helper.get_word_completions("a", length=3)


CALLS: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "length": (lambda w: w.allocate_code(length=3), "TypeError", "fine"),
    "code_length": (lambda w: w.allocate_code(code_length=3), "fine", "fine"),
    "no words": (lambda w: w.set_code("41-"), "fine", "KeyFormatError"),
    "number alone": (lambda w: w.set_code("42"), "fine", "KeyFormatError"),
    "leading space": (lambda w: w.set_code(" 4-a-b"), "KeyFormatError", "KeyFormatError"),
    "no number": (lambda w: w.set_code("a-b"), "KeyFormatError", "KeyFormatError"),
    "tab": (lambda w: w.set_code("43-a\tb"), "fine", "KeyFormatError"),
    "other digits": (lambda w: w.set_code("٤-a-b"), "fine", "KeyFormatError"),
    "space typed": (lambda w: in_words(w.input_code(), "a b"), "fine", "KeyFormatError"),
    "completions": (completions, "TypeError", "fine"),
    "no length": (lambda w: w.derive_key("x"), "TypeError", "NoKeyError"),
    "no key": (lambda w: w.derive_key("x", 32), "NoKeyError", "NoKeyError"),
    "text": (lambda w: w.send_message("x"), "AssertionError", "TypeError"),
    "long": (lambda w: w.send_message(bytes(4_193_753)), "fine", "ValueError"),
    "second code": (lambda w: (w.set_code("44-a"), w.set_code("4-a")), *["OnlyOneCodeError"] * 2),
    "dilate": (lambda w: [w.dilate()], "NotImplementedError", "fine"),
}

DILATING: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "once": (lambda w: [w.dilate()], "fine", "fine"),
    "twice": (lambda w: [w.dilate(), w.dilate()], *["CanOnlyDilateOnceError"] * 2),
    "relay": (lambda w: [w.dilate("relay.example")], "fine", "ValueError"),
    "interval": (lambda w: [w.dilate(ping_interval=0.0)], "fine", "ValueError"),
}


@pytest.mark.parametrize("case", [*CALLS, *(f"dilate {case}" for case in DILATING)])
def test_calls(server: MailboxServer, case: str) -> None:
    """Each call that the page names has the two outcomes that it tells."""
    dilating = case not in CALLS
    call, *expected = DILATING[case.removeprefix("dilate ")] if dilating else CALLS[case]

    async def both() -> list[str]:
        found = []
        for library in LIBRARIES.values():
            made = library.create(APPID, server.url, real, dilation=dilating)
            found.append(await outcome(call, made))
            await closed(made)
        return found

    assert reactor.run(both, timeout=60) == expected


def test_after_the_end(server: MailboxServer) -> None:
    """A code after the end is refused here, and everything that is waited for fails alike."""

    async def both() -> list[list[str]]:
        found = []
        for library in LIBRARIES.values():
            made = library.create(APPID, server.url, real)
            pending = outcome(made.get_message)
            await closed(made)
            found.append(
                [
                    await pending,
                    await outcome(made.get_code),
                    await outcome(made.close),
                    await outcome(made.send_message, b"x"),
                    await outcome(made.set_code, "4-a-b"),
                ]
            )
        return found

    stock, ours = reactor.run(both)
    assert stock[:4] == ours[:4] == ["LonelyError"] * 3 + ["fine"]
    assert (stock[4], ours[4]) == ("NoTransition", "WormholeClosed")


def test_after_a_happy_end(server: MailboxServer) -> None:
    """What is asked for then fails with the same error, which says how the wormhole ended."""

    async def both() -> list[tuple[str, tuple[object, ...]]]:
        made = [library.create(APPID, server.url, real) for library in LIBRARIES.values()]
        for each in made:
            each.set_code("48-a-b")
        for each in made:
            await each.get_versions()
        found = []
        for each in made:
            await closed(each)
            try:
                await each.get_code()
            except (wormhole.errors.WormholeClosed, holdfast.WormholeClosed) as error:
                found.append((type(error).__name__, error.args))
        return found

    assert reactor.run(both) == [("WormholeClosed", ("happy",))] * 2


def test_what_errors_carry() -> None:
    """The words of a server or a peer are the first argument of the error, there and here."""
    for name in ("ServerError", "WelcomeError"):
        stock, ours = (getattr(each.errors, name)("words") for each in (wormhole, holdfast))
        assert stock.args == ours.args == ("words",)
        assert str(ours) == "words"


def test_names_of_arguments() -> None:
    """An argument that is called otherwise here is on the page."""
    page = (DOCS / "from-magic-wormhole.md").read_text()

    def arguments(call: Callable[..., Any]) -> list[str]:
        return [each for each in inspect.signature(call).parameters if each[0] != "_"]

    pairs = [(getattr(wormhole, name), getattr(holdfast, name)) for name in COMMON]
    for mode in ("DeferredWormhole", "DelegatedWormhole"):
        stock, ours = getattr(wormhole.wormhole, f"_{mode}"), getattr(holdfast, mode)
        pairs += [
            (getattr(stock, name), getattr(ours, name)) for name in dir(stock) if name in WAYS
        ]
    pairs += [
        (getattr(wormhole._input.Helper, name), getattr(holdfast.InputHelper, name))
        for name in vars(wormhole._input.Helper)
        if name[0] != "_"
    ]
    assert len(pairs) > 20
    for stock, ours in pairs:
        for each in set(arguments(stock)) - set(arguments(ours)) - {"self"}:
            assert f"`{each}=`" in page, (stock.__qualname__, each)


def test_derived_keys(server: MailboxServer) -> None:
    """The same purpose and length give the same bytes in both; none at all are refused here."""

    async def both() -> list[Any]:
        made = [library.create(APPID, server.url, real) for library in LIBRARIES.values()]
        for each in made:
            each.set_code("47-a-b")
        for each in made:
            await each.get_verifier()
        stock, ours = made
        assert stock.derive_key("x", 32) == ours.derive_key("x")
        found = [await outcome(each.derive_key, "x", 0) for each in made]
        for each in made:
            await closed(each)
        return found

    assert reactor.run(both) == ["fine", "ValueError"]


FEW_METHODS = """
import os, sys
import holdfast, wormhole
from twisted.internet import reactor

class Delegate:
    def wormhole_got_code(self, code):
        pass

    def wormhole_closed(self, result):
        print(type(result).__name__, flush=True)
        os._exit(0)  # there it would come back again and again, and fail each time

library = {"stock": wormhole, "holdfast": holdfast}[sys.argv[1]]
made = library.create(sys.argv[2], sys.argv[3], reactor, delegate=Delegate())
made.set_code("46-a-b")
if library is holdfast:
    made.close()
reactor.run()
"""


def test_a_delegate_with_few_methods(server: MailboxServer) -> None:
    """There, a delegate that leaves out a method loses its wormhole; here it does not."""
    for library, ends_as in (("stock", "AttributeError"), ("holdfast", "LonelyError")):
        with Child([sys.executable, "-c", FEW_METHODS, library, APPID, server.url]) as child:
            assert child.wait().out == f"{ends_as}\n"


def test_the_first_failure() -> None:
    """There, a server that is away is the end; here it is, if one asks for that: the same error."""

    async def both() -> list[Any]:
        away = "ws://127.0.0.1:1/v1"
        stock = wormhole.create(APPID, away, real)
        ours = holdfast.create(APPID, away, real, first_failure_is_final=True)
        found = []
        for made in (stock, ours):
            try:
                await made.get_welcome()
            except (wormhole.errors.ServerConnectionError, holdfast.ServerConnectionError) as error:
                found.append((error.url, type(error.reason), str(error.reason)))
        return found

    stock, ours = reactor.run(both)
    assert stock == ours
    assert ours[:2] == ("ws://127.0.0.1:1/v1", ConnectionRefusedError)


def test_an_exception_in_a_journal() -> None:
    """There, a journal is of no use after an exception inside `process()`; here it is."""
    for library, usable in ((wormhole.journal, False), (holdfast, True)):
        saved: list[str] = []
        journal = library.Journal(lambda saved=saved: saved.append("saved"))
        with pytest.raises(KeyError), journal.process():
            journal.queue_outbound(saved.append, "sent")
            raise KeyError
        if usable:
            with journal.process():
                pass
            assert saved == ["saved"]
        else:
            with pytest.raises(AssertionError), journal.process():
                pass


def test_names() -> None:
    """Every error of theirs is here, or the page says what has become of it."""
    page = (DOCS / "from-magic-wormhole.md").read_text()
    gone = {"UnsendableFileError", "TransferError", "Timeout", "ReflectionAttack", "InternalError"}
    for name, error in vars(wormhole.errors).items():
        if isinstance(error, type) and not name.startswith("_") and name not in gone:
            assert hasattr(holdfast.errors, name) or f"`{name}`" in page
    for name in wormhole.__all__:
        assert name == "__version__" or hasattr(holdfast, name) or f"`{name}`" in page
