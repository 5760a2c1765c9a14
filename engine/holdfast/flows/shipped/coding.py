"""How a flow gets its code, and what happens when somebody comes with a wrong one.

A code is good for so many guesses. A wrong guess ends the wormhole: two sides have been in its
mailbox, which admits nobody else. If guesses are left, the flow goes on with a new wormhole and the
same code. Its number leads to a new mailbox, because both sides have left the old one.

Whoever has guessed may still have the number, for example because their connection was lost, or
another wormhole may have got it meanwhile. Then the flow enters no mailbox, and looks again later.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

from holdfast.errors import CodeLostError, CrowdedError, WrongPasswordError
from holdfast.flows.base import Flow

MOST_OPENINGS: Final = 30
"""How often it is looked again whether the number is free: for half an hour, since a stock server
takes it back a quarter of an hour after its client has vanished."""

LONGEST_PAUSE: Final = 64.0
"""Seconds between two looks, which begin with one second, and double."""


@define
class Coding:
    """What was asked for, and how far it is.

    Args:
        words: how many words the code has.
        digits: how many digits a number has that we choose ourselves; 0 if the server gives one.
        code: the code that was given; or the one that was made, if it may be needed again.
        guesses: how many wrong guesses end the flow.
        wrong: how many there were.
        openings: how often in a row the number was not free.
    """

    words: int = 2
    digits: int = 0
    code: str = field(default="", repr=False)
    guesses: int = 1
    wrong: int = 0
    openings: int = 0


class Coded(Flow):
    """A flow whose code is made, shown, and opened again after a wrong guess."""

    coding: Coding

    def open_code(self) -> None:
        """Use the code that there is, or have one made."""
        coding = self.coding
        if coding.code:
            self.wormhole.set_code(coding.code)
        else:
            self.wormhole.allocate_code(coding.words, number_digits=coding.digits)

    def wormhole_got_code(self, code: str) -> None:
        """Show the code to the operator, who passes it on."""
        if self.coding.guesses > 1:
            self.coding.code = code
        self.coding.openings = 0
        self.publish(code=code)

    def reopened(self) -> None:
        """Use the same code in a new wormhole."""
        self.wormhole.set_code(self.coding.code, again=True)

    def wormhole_closed(self, result: str | Exception) -> None:
        """If this was a wrong guess, and not the last one, open the code again."""
        coding = self.coding
        if self.wormhole.exchange.is_proved:
            return
        if isinstance(result, WrongPasswordError):
            coding.wrong += 1
            if coding.guesses > 1:
                self.publish(guesses=f"{coding.wrong} of {coding.guesses} were wrong")
            if coding.wrong < coding.guesses:
                self.reopen(f"wrong code, guess {coding.wrong} of {coding.guesses}")
                self.tell_trouble(f"wrong code, guess {coding.wrong} of {coding.guesses}")
            self.guessed_wrong()
        elif isinstance(result, CodeLostError | CrowdedError) and self._is_to_look_again:
            coding.openings += 1
            pause = min(2.0 ** (coding.openings - 1), LONGEST_PAUSE)
            self.reopen("the number of the code is still in use", after=pause)

    def guessed_wrong(self) -> None:
        """Called in the entry of each wrong guess."""

    @property
    def _is_to_look_again(self) -> bool:
        """Whether the code has not worked since the last guess, and may still do."""
        coding = self.coding
        worked = not self.wormhole.exchange.code.data.untold
        return coding.wrong > 0 and not worked and coding.openings < MOST_OPENINGS
