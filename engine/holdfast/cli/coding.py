"""The options that say what codes are made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from holdfast.codes.numbers import FEWEST_DIGITS, MOST_DIGITS
from holdfast.operating.coding import MOST_GUESSES, MOST_WORDS, AskedCode


def code_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--words`, `--number-digits` and `--guesses`; the command gets `code: AskedCode`.

    If the command has an option `--code` of its own, called `given`, it becomes part of that.
    """

    @functools.wraps(command)
    def gathered(
        *args: Any,
        words: int | None,
        digits: int | None,
        guesses: int,
        given: str | None = None,
        **more: Any,
    ) -> Any:
        return command(*args, code=AskedCode(words, digits or 0, guesses, given), **more)

    options = click.option(
        "--guesses",
        type=click.IntRange(1, MOST_GUESSES),
        default=1,
        show_default=True,
        metavar="N",
        help="After a wrong code, open the same code again until it was guessed wrong N times. Such"
        " codes have more words, so that all guesses together are no better than one at two words.",
    )(gathered)
    options = click.option(
        "--number-digits",
        "digits",
        type=click.IntRange(FEWEST_DIGITS, MOST_DIGITS),
        metavar="N",
        help="Choose the numbers of the codes at random, with N digits, instead of asking the"
        " mailbox server for short ones: a mistyped digit then reaches nobody.",
    )(options)
    return click.option(
        "--words",
        "-c",
        "--code-length",
        "words",
        type=click.IntRange(1, MOST_WORDS),
        metavar="N",
        show_default="2",
        help="How many words a code has.",
    )(options)
