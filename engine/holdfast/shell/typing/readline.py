"""Ask the user for a code on the terminal, with Tab for completion."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread
from twisted.python.failure import Failure

from holdfast.errors import AlreadyChoseNameplateError, KeyFormatError
from holdfast.shell.typing.helper import InputHelper

_WORDLIST_PATIENCE = 5.0
"""Seconds for which Tab waits for the server's answer about the nameplate."""


def input_with_completion(prompt: str, helper: InputHelper, reactor: Any) -> Deferred[bool]:
    """Ask for a code with `prompt`, and give it to `helper`.

    Input is read in a thread of its own, so that the reactor keeps running. Ctrl-C stops the
    reactor as usual: the terminal is restored, and the program does not wait for Return.

    Returns:
        A Deferred that fires when the code is complete, with whether Tab was used; it fails with
        KeyFormatError for a malformed code, and with EOFError if the input ends.
    """
    return ask(prompt, Completer(helper, reactor), reactor)


def ask(prompt: str, completer: Completing, reactor: Any) -> Deferred[bool]:
    """Ask for one line with `prompt`, and have `completer` finish it; see `input_with_completion`.

    Returns:
        A Deferred that fires when that is done, with whether Tab was used; it fails with what
        `finish` raises, and with EOFError if the input ends.
    """
    done: Deferred[bool] = Deferred()
    restore = _terminal()

    def tell(outcome: bool | Failure) -> None:  # noqa: FBT001 - an outcome, and no switch
        if stopped.is_set():
            return
        reactor.removeSystemEventTrigger(trigger)
        if done.called:
            return
        if isinstance(outcome, Failure):
            done.errback(outcome)
        else:
            done.callback(outcome)

    def read() -> None:
        try:
            with completer.on_readline():
                typed = input(prompt)
            completer.finish(typed)
            outcome: bool | Failure = completer.was_used
        except BaseException:  # noqa: BLE001 - all of it is passed on
            outcome = Failure()
        reactor.callFromThread(tell, outcome)

    def stop() -> None:
        stopped.set()
        restore()
        if sys.stdout.isatty():
            sys.stdout.write("\n")
        _wake(thread)

    stopped = threading.Event()
    trigger = reactor.addSystemEventTrigger("before", "shutdown", stop)
    # A daemon thread, because nothing can wake a thread that waits for a person to type.
    thread = threading.Thread(target=read, daemon=True, name="wormhole code")
    thread.start()
    return done


class Completing:
    """What readline calls, in its thread.

    Args:
        reactor: has the thread in which everything else happens.
    """

    def __init__(self, reactor: Any) -> None:
        self.was_used = False
        self._reactor = reactor
        self._matches: list[str] = []

    def begin(self) -> None:
        """Called before the line is read."""

    def completions(self, text: str) -> Collection[str]:
        """Return what the line, `text` so far, may become."""
        raise NotImplementedError

    def finish(self, text: str) -> None:
        """Take the whole line."""
        raise NotImplementedError

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call `function` in the reactor's thread, and wait for what it returns."""
        return blockingCallFromThread(self._reactor, function, *args)

    @contextlib.contextmanager
    def on_readline(self) -> Any:
        """Let readline ask this completer inside the block; without readline there is no Tab."""
        try:
            import readline
        except ModuleNotFoundError:
            yield
            return
        before = readline.get_completer(), readline.get_completer_delims()
        readline.set_completer(self.complete)
        readline.set_completer_delims("")
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
        self.begin()
        try:
            yield
        finally:
            readline.set_completer(before[0])
            readline.set_completer_delims(before[1])

    def complete(self, text: str, state: int) -> str | None:
        """Return the completion of `text` with the number `state`, or None after the last."""
        if state == 0:
            self.was_used = True
            try:
                self._matches = sorted(self.completions(text))
            except Exception:  # noqa: BLE001 - readline would print it into the line being typed
                self._matches = []
        return self._matches[state] if state < len(self._matches) else None


class Completer(Completing):
    """Completes a code by a wormhole's input helper, which runs in the reactor's thread.

    Args:
        helper: knows the completions.
        reactor: where the helper may be called.
    """

    def __init__(self, helper: InputHelper, reactor: Any) -> None:
        super().__init__(reactor)
        self._helper = helper
        self._nameplate: str | None = None

    def begin(self) -> None:
        """Find out what was chosen before a restart, and cannot be chosen again."""
        self._nameplate = self.call(lambda: self._helper.chosen_nameplate)

    def finish(self, text: str) -> None:
        """Give the whole code to the helper.

        Raises:
            KeyFormatError: it is malformed, or has another nameplate than the one that Tab has
                already claimed.
        """
        nameplate, hyphen, words = text.partition("-")
        if not hyphen:
            raise KeyFormatError(
                "The code has no hyphen: it begins with a number and a hyphen,"
                " as in 4-purple-sausages."
            )
        self._choose(nameplate)
        self.call(self._helper.choose_words, words)

    def completions(self, text: str) -> Collection[str]:
        """Return the nameplates, or claim the one that there is and return words."""
        nameplate, hyphen, words = text.partition("-")
        if not hyphen:
            if self._nameplate is not None:
                return {f"{self._nameplate}-"} if self._nameplate.startswith(nameplate) else set()
            self.call(self._helper.refresh_nameplates)
            found: set[str] = self.call(self._helper.get_nameplate_completions, nameplate)
            return found
        self._choose(nameplate)
        self.call(self._wordlist)
        found = self.call(self._helper.get_word_completions, words)
        return {f"{nameplate}-{each}" for each in found}

    def _wordlist(self) -> Deferred[None]:
        known = self._helper.when_wordlist_is_available()
        known.addTimeout(_WORDLIST_PATIENCE, self._reactor)
        return known

    def _choose(self, nameplate: str) -> None:
        if self._nameplate is None:
            try:
                self.call(self._helper.choose_nameplate, nameplate)
            except AlreadyChoseNameplateError:
                raise KeyFormatError("The nameplate was chosen elsewhere already.") from None
            self._nameplate = nameplate
        elif self._nameplate != nameplate:
            raise KeyFormatError(
                f"The number was {self._nameplate} when Tab was pressed, and that one is claimed:"
                " start again for another."
            )


def _wake(thread: threading.Thread) -> None:
    """Let the thread end if it reads from a pipe: then it holds a lock of Python's standard input.

    An interpreter that ends while a thread holds that lock aborts. (On a terminal, readline does
    the reading, without the lock.)
    """
    try:
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor) or not thread.is_alive():
            return
        # A read that a signal interrupts is tried again, and then finds the end of the input.
        before = signal.signal(signal.SIGURG, lambda *_: None)
    except (AttributeError, OSError, ValueError):
        return  # without standard input, outside the main thread, or on another system
    saved, nothing = os.dup(descriptor), os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nothing, descriptor)
        for _ in range(100):  # the signal may come just before the read begins
            if not thread.is_alive():
                break
            signal.pthread_kill(thread.ident or 0, signal.SIGURG)
            thread.join(0.01)
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
        os.close(nothing)
        signal.signal(signal.SIGURG, before)


def _terminal() -> Callable[[], None]:
    """Return a function that restores the terminal to its present state."""
    try:
        import termios
    except ImportError:
        return lambda: None
    try:
        descriptor = sys.stdin.fileno()
        attributes = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):
        return lambda: None  # standard input is closed, or is not a terminal
    return lambda: termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
