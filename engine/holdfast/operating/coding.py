"""What codes are asked for: how long, on what numbers, and how many guesses each of them bears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.codes.strength import USUAL_WORDS, fewest_words
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast.flows.shipped.coding import Coding

MOST_WORDS: Final = 100
MOST_GUESSES: Final = 100


@frozen
class AskedCode:
    """What an operator asked for.

    Args:
        words: how many words; None for as many as are usual.
        digits: how many digits a number has that is not the server's; 0 for the server's.
        guesses: how many wrong guesses end a flow.
        given: a code that both sides have already.

    Raises:
        Refused: these do not go together, or `given` is not a code.
    """

    words: int | None = None
    digits: int = 0
    guesses: int = 1
    given: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.given is None:
            return
        for option, asked in (
            ("--words", self.words is not None),
            ("--number-digits", self.digits > 0),
            ("--guesses", self.guesses > 1),
        ):
            if asked:
                raise Refused(f"{option}: this is for codes that are made, and --code gives one")
        _check(self.given)

    @property
    def length(self) -> int:
        """How many words a code gets: enough for its guesses, whatever was asked for."""
        asked = USUAL_WORDS if self.words is None else self.words
        return max(asked, fewest_words(self.guesses)) if self.guesses > 1 else asked

    @property
    def marks(self) -> tuple[str, ...]:
        """What makes a command with it different from one without."""
        return () if self.given is None else ("code", self.given)

    @property
    def notice(self) -> str | None:
        """What the operator should know, or None."""
        if self.guesses == 1:
            return None
        return (
            f"each code has {self.length} words: all {self.guesses} guesses at it together are no"
            f" better than one guess at a code of {USUAL_WORDS} words"
        )

    def flow_value(self) -> Coding:
        """Return it as a flow keeps it."""
        from holdfast.flows.shipped.coding import Coding

        return Coding(self.length, self.digits, self.given or "", self.guesses)


def _check(code: str) -> None:
    from holdfast.codes import validate
    from holdfast.errors import KeyFormatError
    from holdfast.flows.shipped.wording import said

    try:
        validate(code)
    except KeyFormatError as error:
        raise Refused(f"--code: {said(error)}") from None
