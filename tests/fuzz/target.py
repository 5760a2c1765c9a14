"""What a target of fuzzing is, and the one invariant that all of them share."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import field, frozen

CORPUS: Final = Path(__file__).parent / "corpus"

SECRET: Final = "hunter2"
"""Stands where something secret stands, in every seed; no error may show it."""

LONGEST_ERROR: Final = 3000
"""Characters of the longest text that an error may have."""


class Broken(AssertionError):
    """The invariant does not hold."""


@frozen
class Target:
    """Something that reads input from outside.

    Args:
        name: that of the function, and of its folder in the corpus.
        run: reads an input; raises nothing but *errors*, unless it finds something wrong.
        errors: what is documented to be raised.
        seeds: real inputs to begin with.
        quotes: whether an error may repeat what is wrong, for it is no secret.
        examples: how many broken inputs `make test EVERY_MOMENT=1` tries; without, the half.
    """

    name: str
    run: Callable[[bytes], None] = field(repr=False)
    errors: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]] = field(repr=False)
    quotes: bool
    examples: int

    @property
    def folder(self) -> Path:
        """Its part of the corpus."""
        return CORPUS / self.name

    def corpus(self) -> Sequence[Path]:
        """The inputs that are kept, each of which was of use once."""
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    def inputs(self) -> list[bytes]:
        """All that there is to begin with."""
        return [*self.seeds(), *(path.read_bytes() for path in self.corpus())]

    def attempt(self, data: bytes) -> None:
        """Try *data*: a value, or a defined error that is fit to be shown.

        Raises:
            Exception: whatever came instead.
        """
        try:
            self.run(data)
        except self.errors as error:
            if isinstance(error, Broken):
                raise
            check_error(error, quotes=self.quotes)


TARGETS: Final[dict[str, Target]] = {}


def target(
    *errors: type[Exception],
    seeds: Callable[[], Iterable[bytes]],
    quotes: bool = False,
    examples: int = 20,
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Register a function as a target."""

    def register(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        name = run.__name__
        TARGETS[name] = Target(name, run, errors, seeds, quotes, examples)
        return run

    return register


def check_error(error: BaseException, *, quotes: bool = False) -> None:
    """See that *error*, with all that a traceback of it shows, is short and tells no secret."""
    text = str(error)
    if len(text) > LONGEST_ERROR:
        raise Broken(f"{type(error).__name__} of {len(text)} characters")
    if not text.strip():
        raise Broken(f"{type(error).__name__} without a text")
    shown = "".join(traceback.format_exception(error)) + repr(error)
    if not quotes and SECRET in shown:
        raise Broken(f"{type(error).__name__} shows a secret")


def expect(condition: object, what: str) -> None:
    """Say *what* is wrong, unless *condition* holds."""
    if not condition:
        raise Broken(what)
