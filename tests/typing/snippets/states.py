"""The states of the core's machines, by their names."""

from collections.abc import Mapping
from typing import assert_type

from holdfast.core import code, key, nameplate
from holdfast.core.exchange import Exchange
from holdfast.core.wanted import Said, wanted


def compared(exchange: Exchange) -> bool:
    assert_type(exchange.key.state, key.State)
    return (
        exchange.code.state == "known"
        or exchange.nameplate.state != "claimed"
        or exchange.mailbox.is_in("open", "closing")
        or exchange.outbox.state == "flowing"
    )


def misspelt(exchange: Exchange) -> list[bool]:
    return [
        exchange.code.state == "knwon",  # refused: Non-overlapping equality check
        exchange.nameplate.state == "claimd",  # refused: Non-overlapping equality check
        exchange.mailbox.state != "opened",  # refused: Non-overlapping equality check
        exchange.key.state == "agree",  # refused: Non-overlapping equality check
        exchange.outbox.state == "flow",  # refused: Non-overlapping equality check
        exchange.inbox.state == "lokced",  # refused: Non-overlapping equality check
        exchange.lifecycle.state == "well",  # refused: Non-overlapping equality check
    ]


def misspelt_among_others(exchange: Exchange) -> list[bool]:
    return [
        exchange.code.is_in("known", "wnated"),  # refused: incompatible type "Literal['wnated']"
        exchange.lifecycle.is_in("ended", "lost"),  # refused: incompatible type "Literal['lost']"
    ]


def of_another_machine(exchange: Exchange) -> bool:
    return exchange.mailbox.state == "claimed"  # refused: Non-overlapping equality check


WORDS: Mapping[code.State, str] = {"typing": "being typed", "typing_words": "the words"}
WRONG: Mapping[code.State, str] = {"typing words": ""}  # refused: expected "Literal['unset',


def inputs(exchange: Exchange) -> None:
    assert_type(exchange.nameplate.change().claimed("m"), nameplate.Effects)
    exchange.nameplate.change().claimed()  # refused: Missing positional argument "mailbox"
    exchange.mailbox.change().opened("m")  # refused: has no attribute "opened"
    exchange.inputs.claim()  # refused: has no attribute "inputs"


def without_what_was_said(exchange: Exchange) -> None:
    wanted(exchange, Said())
    wanted(exchange)  # refused: Missing positional argument "said"
