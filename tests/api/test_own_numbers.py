"""Codes on numbers that we choose ourselves: a number that is in use is replaced in time."""

from collections.abc import Callable

import pytest

import holdfast
from holdfast.codes.numbers import FEWEST_DIGITS, MOST_DIGITS
from tests.test_absence import HOW, LONG, Process, later, new_side


def chosen(digits: int = 6, *, discreet: bool = True) -> Process:
    process = Process(new_side(), discreet=discreet)
    process.wormhole.allocate_code(3, number_digits=digits)
    return process


def number(process: Process) -> str:
    return process.wormhole.exchange.nameplate.data.nameplate


def codes(process: Process) -> list[str]:
    return [code for name, code in process.told if name == "code"]


def works(process: Process) -> str:
    """Let the server store what is added; return the code that is told then."""
    process.hears(type="claimed", mailbox="box")
    [added] = [frame for frame in process.sent if frame["type"] == "add"]
    process.hears(type="message", side=process.side, phase="pake", body=added["body"])
    [code] = codes(process)
    process.wormhole.abandon()
    return code


@pytest.mark.parametrize("digits", [FEWEST_DIGITS, MOST_DIGITS])
def test_a_free_number_is_claimed(digits: int) -> None:
    """It is not allocated; nobody hears of the code before it works."""
    process = chosen(digits)
    process.connect()
    assert process.said == ["bind", "list"]
    process.lists("3", "77")
    assert process.said == ["bind", "list", "claim"]
    assert process.sent[-1]["nameplate"] == number(process)
    assert not codes(process)
    code = works(process)
    assert code.startswith(f"{number(process)}-")
    assert len(number(process)) == digits
    assert code.count("-") == 3


def test_a_number_that_is_in_use_is_replaced() -> None:
    """Its owner is not disturbed; the same list says whether the next one is free."""
    process = chosen()
    first = number(process)
    process.connect()
    process.lists("3", first)
    assert process.said == ["bind", "list", "claim"]
    assert process.sent[-1]["nameplate"] == number(process) != first
    assert len(number(process)) == len(first)
    code = works(process)
    assert not code.startswith(f"{first}-")
    assert code.count("-") == 3


@HOW
def test_a_connection_that_breaks_before_the_answer(how: str) -> None:
    """The next one asks again, about the same number."""
    process = chosen()
    first = number(process)
    process.connect()
    process.lose()
    process = later(process, 1.0, how)
    process.connect()
    assert process.said == ["bind", "list"]
    process.lists()
    assert process.sent[-1]["nameplate"] == first
    process.wormhole.abandon()


@HOW
def test_a_claim_that_was_not_answered_for_long(how: str) -> None:
    """Like a number of the server's: whoever has it by now is left alone."""
    process = chosen()
    first = number(process)
    process.connect()
    process.lists()
    process.lose()
    process = later(process, LONG, how)
    process.connect()
    assert process.said == ["bind", "list"]
    process.lists(first)
    process.hears(type="released")
    process.lists(first)
    assert process.said[2:4] == ["release", "list"]
    assert number(process) != first
    process.wormhole.abandon()


def test_a_code_that_was_told_is_not_replaced() -> None:
    """An application that wants its code at once is told that it is lost."""
    process = chosen(discreet=False)
    [code] = codes(process)
    process.connect()
    process.lists(code.partition("-")[0])
    [ended] = [result for name, result in process.told if name == "closed"]
    assert isinstance(ended, holdfast.CodeLostError)


def test_closed_before_it_was_claimed() -> None:
    """There is nothing to give back."""
    process = chosen()
    process.connect()
    process.wormhole.close()
    assert [name for name, _ in process.told] == ["closed"]
    assert process.said == ["bind", "list"]


@pytest.mark.parametrize("digits", [-1, 1, FEWEST_DIGITS - 1, MOST_DIGITS + 1])
def test_numbers_of_other_lengths(digits: int) -> None:
    process = Process(new_side())
    with pytest.raises(ValueError, match="6 to 12 digits"):
        process.wormhole.allocate_code(number_digits=digits)
    with pytest.raises(TypeError):
        process.wormhole.allocate_code(number_digits=True)
    process.wormhole.abandon()


def given_out(*, discreet: bool = True) -> Process:
    """A wormhole with a code that an earlier one has given out."""
    process = Process(new_side(), discreet=discreet)
    process.wormhole.set_code("654321-any-words", again=True)
    return process


def test_a_code_that_was_given_out_before() -> None:
    """Its number is claimed if it is free."""
    process = given_out()
    process.connect()
    process.lists("3")
    assert process.said == ["bind", "list", "claim"]
    assert works(process) == "654321-any-words"


@pytest.mark.parametrize("discreet", [False, True])
def test_a_code_that_was_given_out_before_is_not_replaced(discreet: bool) -> None:
    """People have it: if its number is somebody else's by now, it is lost."""
    process = given_out(discreet=discreet)
    process.connect()
    process.lists("3", "654321")
    [ended] = [result for name, result in process.told if name == "closed"]
    assert isinstance(ended, holdfast.CodeLostError)
    assert process.said == ["bind", "list"]


@HOW
@pytest.mark.parametrize("make", [chosen, given_out])
def test_a_claim_that_was_not_answered_a_moment_ago(make: Callable[[], Process], how: str) -> None:
    """The number was free and is ours: it is claimed again, and not given back in doubt."""
    process = make()
    process.connect()
    process.lists()
    process.lose()
    process = later(process, 30.0, how)
    process.connect()
    assert process.said == ["bind", "claim"]
    process.wormhole.abandon()
