"""Asking for a code on the terminal, before anything is started.

Nothing is claimed while it is typed, so the number can be corrected like the words. A wormhole asks
the server which numbers there are, and is closed before the one that uses the code begins.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.cli.question import somebody_is_there
from holdfast.codes import validate
from holdfast.codes.completion import word_completions
from holdfast.errors import KeyFormatError, WormholeError
from holdfast.flows.shipped.wording import said
from holdfast.operating.beforehand import beforehand
from holdfast.operating.printable import printable
from holdfast.shell.typing.readline import Completing, ask

if TYPE_CHECKING:
    from holdfast.rendezvous.tor import TorManager
    from holdfast.shell.typing.helper import InputHelper

PROMPT: Final = "Code (Tab completes it): "
PLAIN_PROMPT: Final = "Code: "

PATIENCE: Final = 1.0
"""Seconds that the wormhole which has listed the numbers may take to leave its server."""


def checked_or_asked(
    code: str | None, relay: str, appid: str, tor: TorManager | None, command: str
) -> str:
    """Return a code that was given, if it is one; without one, the code that the user types.

    Args:
        code: the code of the command line, if there is one.
        relay: the mailbox server.
        appid: the application's identifier.
        tor: how that server is reached, if not directly.
        command: the command whose help says more.

    Raises:
        Failure: it is not a code, or nobody can be asked.
    """
    if code is None:
        if not somebody_is_there():
            raise Failure(f"missing argument 'CODE' (see '{command} --help')")
        return asked_for(relay, appid, tor)
    try:
        return validate(code)
    except KeyFormatError as error:
        raise Failure(said(error)) from None


def asked_for(relay: str, appid: str, tor: TorManager | None = None) -> str:
    """Return the code that the user types; whatever is not one is asked for again.

    Args:
        relay: the mailbox server whose numbers are completed.
        appid: of whose application they are.
        tor: how that server is reached, if not directly.

    Raises:
        Failure: the input ended.
        KeyboardInterrupt: the user, or a signal, ended it.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.defer import TimeoutError as TookTooLong

    from holdfast.api import create

    async def type_it() -> str:
        wormhole = create(appid, relay, reactor, tor=tor)
        typed = Typed(wormhole.input_code(), reactor)
        try:
            return await _read(typed, reactor)
        finally:
            with suppress(WormholeError, TookTooLong):
                await wormhole.close().addTimeout(PATIENCE, reactor)

    return beforehand(reactor, lambda: Deferred.fromCoroutine(type_it()))


async def _read(typed: Typed, reactor: Any) -> str:
    completes = sys.stdout.isatty()  # or the prompt would be part of what the command prints
    while True:
        if not completes:
            say.err(PLAIN_PROMPT, end="")
        try:
            await ask(PROMPT if completes else "", typed, reactor)
        except KeyFormatError as error:
            # At once, and not behind the next prompt, as `say` might.
            click.echo(f"holdfast: {printable(said(error))}", err=True)
        except EOFError:
            say.err("")
            raise Failure("no code was typed, and nothing was started") from None
        else:
            return typed.code


class Typed(Completing):
    """A code while it is typed; nothing of it is claimed.

    Args:
        helper: knows the numbers that are in use.
        reactor: where the helper may be called.
    """

    def __init__(self, helper: InputHelper, reactor: Any) -> None:
        super().__init__(reactor)
        self.code = ""
        self._helper = helper

    def completions(self, text: str) -> Collection[str]:
        """Return numbers that are in use, or codes with one word more."""
        number, hyphen, words = text.partition("-")
        if hyphen:
            return {f"{number}-{each}" for each in word_completions(words)}
        numbers: set[str] = self.call(self._numbers, number)
        return numbers

    def _numbers(self, prefix: str) -> set[str]:
        self._helper.refresh_nameplates()
        return self._helper.get_nameplate_completions(prefix)

    def finish(self, text: str) -> None:
        """Take the whole code. Raises KeyFormatError."""
        self.code = validate(text.strip())
