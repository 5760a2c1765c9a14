"""Typing a code with completions: the object that `input_code` returns."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred

from holdfast.codes.code import validate_nameplate, validate_words
from holdfast.codes.completion import nameplate_completions, word_completions
from holdfast.errors import (
    AlreadyChoseNameplateError,
    AlreadyChoseWordsError,
    MustChooseNameplateFirstError,
)


class TypingStage(Enum):
    """How far the typing has come."""

    NAMEPLATE = "nameplate"
    WORDS = "words"
    DONE = "done"


class Typed(Protocol):
    """The wormhole whose code is being typed."""

    @property
    def typing_stage(self) -> TypingStage:
        """How far the typing has come."""
        ...

    @property
    def chosen_nameplate(self) -> str | None:
        """The nameplate, after it is chosen and until the words are."""
        ...

    @property
    def wordlist_is_known(self) -> bool:
        """Whether the nameplate is claimed, and with it the word list known."""
        ...

    def list_nameplates(self) -> None:
        """Ask the server which nameplates there are, now or on the next connection."""
        ...

    def choose_nameplate(self, nameplate: str) -> None:
        """Claim this nameplate, while the words are being typed."""
        ...

    def choose_words(self, words: str) -> None:
        """The code is complete."""
        ...

    def when_wordlist_is_known(self) -> Deferred[None]:
        """Return a Deferred that fires once the word list is known."""
        ...


class InputHelper:
    """Helps a person type a code, first its nameplate, then its words.

    Nothing is put into the mailbox before `choose_words`. Once the wormhole has begun to close,
    every method raises WormholeClosed, or the WormholeError that it ended with.
    """

    def __init__(self, typed: Typed) -> None:
        self._typed = typed
        self._nameplates: AbstractSet[str] = frozenset()

    @property
    def chosen_nameplate(self) -> str | None:
        """The nameplate, if it is chosen and the words are not yet."""
        return self._typed.chosen_nameplate

    def refresh_nameplates(self) -> None:
        """Ask the server for its nameplates; later completions use the answer.

        Raises:
            AlreadyChoseNameplateError: the nameplate is chosen.
        """
        self._before_nameplate()
        self._typed.list_nameplates()

    def get_nameplate_completions(self, prefix: str) -> set[str]:
        """Return the nameplates that begin with `prefix`, each with its hyphen, as in {"4-"}.

        Raises:
            AlreadyChoseNameplateError: the nameplate is chosen.
        """
        self._before_nameplate()
        return nameplate_completions(prefix, self._nameplates)

    def choose_nameplate(self, nameplate: str) -> None:
        """Choose the number that the code begins with; it is claimed at once.

        Raises:
            KeyFormatError: it is not a number; another may be chosen.
            AlreadyChoseNameplateError: the nameplate is chosen.
        """
        self._before_nameplate()
        self._typed.choose_nameplate(validate_nameplate(nameplate))

    def when_wordlist_is_available(self) -> Deferred[None]:
        """Return a Deferred that fires (with None) once words can be completed."""
        return self._typed.when_wordlist_is_known()

    def get_word_completions(self, prefix: str, length: int = 2) -> set[str]:
        """Return what the words typed so far, `prefix`, may become; all begin with `prefix`.

        A hyphen follows where more words are expected, up to `length` in all. Before the word list
        is known, the result is empty.

        Raises:
            MustChooseNameplateFirstError: the nameplate is not chosen.
            AlreadyChoseWordsError: the words are chosen.
        """
        self._at_words()
        return word_completions(prefix, length) if self._typed.wordlist_is_known else set()

    def choose_words(self, words: str) -> None:
        """Choose what follows the nameplate and its hyphen; the code is complete.

        Raises:
            KeyFormatError: they cannot be part of a code; others may be chosen.
            MustChooseNameplateFirstError: the nameplate is not chosen.
            AlreadyChoseWordsError: the words are chosen.
        """
        self._at_words()
        self._typed.choose_words(validate_words(words))

    def got_nameplates(self, nameplates: AbstractSet[str]) -> None:
        """Take the server's answer to `refresh_nameplates`; called by the wormhole."""
        self._nameplates = nameplates

    def _before_nameplate(self) -> None:
        if self._typed.typing_stage is not TypingStage.NAMEPLATE:
            raise AlreadyChoseNameplateError

    def _at_words(self) -> None:
        if self._typed.typing_stage is TypingStage.NAMEPLATE:
            raise MustChooseNameplateFirstError
        if self._typed.typing_stage is TypingStage.DONE:
            raise AlreadyChoseWordsError
