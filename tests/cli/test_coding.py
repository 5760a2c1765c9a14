"""What codes are made: `--words`, `--number-digits`, `--guesses` and `--code`."""

from pathlib import Path

import pytest

from holdfast.flows.document import Params
from holdfast.flows.shipped.coding import Coding
from holdfast.operating.audit import operator
from holdfast.operating.batches import Terms, start_batch
from holdfast.operating.coding import AskedCode
from holdfast.operating.people import Person
from holdfast.operating.refused import Refused
from tests.cli.conftest import mistyped
from tests.cli.journals import failed, open_at, run
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast


@pytest.mark.parametrize(
    ("asked", "coding"),
    [
        (AskedCode(), Coding(words=2)),
        (AskedCode(words=1), Coding(words=1)),
        (AskedCode(words=5, digits=9), Coding(words=5, digits=9)),
        (AskedCode(guesses=3), Coding(words=3, guesses=3)),
        (AskedCode(words=1, guesses=100), Coding(words=3, guesses=100)),
        (AskedCode(words=4, guesses=3), Coding(words=4, guesses=3)),
        (AskedCode(given="7-a-b"), Coding(words=2, code="7-a-b")),
    ],
)
def test_what_a_flow_keeps_of_it(asked: AskedCode, coding: Coding) -> None:
    """As many words as were asked for, and more if its guesses need them."""
    assert asked.flow_value() == coding
    assert (asked.notice is None) == (asked.guesses == 1)


def test_what_is_said_of_guesses() -> None:
    """How many words there are, and why."""
    assert AskedCode(guesses=3).notice == (
        "each code has 3 words: all 3 guesses at it together are no better than one guess at a"
        " code of 2 words"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (AskedCode(words=3), "--words"),
        (AskedCode(digits=6), "--number-digits"),
        (AskedCode(guesses=2), "--guesses"),
    ],
)
def test_a_given_code_is_what_it_is(given: AskedCode, said: str) -> None:
    """Nothing else can be asked of it."""
    with pytest.raises(Refused, match=said):
        AskedCode(given.words, given.digits, given.guesses, "7-a-b")


@pytest.mark.parametrize("code", ["", "7", "7-", "x-y", "7-a b"])
def test_no_code(tmp_path: Path, code: str) -> None:
    """It is refused before anything is started, and not repeated."""
    result = run(tmp_path / "db", "send", "--text", "hello", "--code", code)
    failed(result, "--code: ")
    assert not (tmp_path / "db").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--words", "0"),
        ("-c", "101"),
        ("--number-digits", "5"),
        ("--number-digits", "13"),
        ("--guesses", "0"),
        ("--guesses", "101"),
    ],
)
def test_out_of_range(tmp_path: Path, options: tuple[str, str]) -> None:
    """Click says what the range is."""
    for command in (("provision", "people.csv"), ("send", "--text", "hello")):
        result = run(tmp_path / "db", *command, *options)
        assert result.exit_code == 2
        assert "is not in the range" in result.stderr


def test_each_person_gets_it(tmp_path: Path) -> None:
    """With a secret as with a command that makes one."""
    journal = open_at(tmp_path / "db")
    terms = Terms("ws://r", "app", None, 60.0, AskedCode(words=4, digits=8, guesses=3))
    person = Person("ann", "secret", 1)
    start_batch(journal, "one", [person], None, "people.csv", terms, operator())
    start_batch(journal, "two", [person], ["token"], "people.csv", terms, operator())
    flows = [Params.from_bytes(taken.params).params for taken in journal.take()]
    journal.close()
    assert len(flows) == 2
    for each in flows:
        assert (each["coding"]["words"], each["coding"]["digits"]) == (4, 8)
        assert each["coding"]["guesses"] == 3


def test_stock_clients_guess_and_collect(home: Holdfast, stock: StockReceivers) -> None:
    """A wrong code, then the right one, on a long number; what the sender is shown."""
    options = ("--number-digits", "7", "--guesses", "2", "--words", "2")
    with home.start("send", "--text", "hello", *options) as child:
        code = child.wait_for(r"^(\d{7}-[a-z]+-[a-z]+-[a-z]+)\n")[1]
        assert stock.wait(mistyped(stock, code)).error == "WrongPasswordError"
        child.wait_for("wrong code; 1 of 2 were wrong, and the same code ", stream="err")
        child.wait_for("the same code works again", stream="err")
        assert stock.wait(stock.receive(code)).text == "hello"
        ended = child.wait()
    assert ended.status == 0
    assert ended.out == f"{code}\n"
    assert "holdfast: each code has 3 words" in ended.err


def test_a_code_that_both_have(home: Holdfast, stock: StockReceivers) -> None:
    """`send --code` uses it as it is."""
    with home.start("send", "--text", "hello", "--code", "6543210-any-thing") as child:
        child.wait_for("^6543210-any-thing\n")
        assert stock.wait(stock.receive("6543210-any-thing")).text == "hello"
        assert child.wait().status == 0
