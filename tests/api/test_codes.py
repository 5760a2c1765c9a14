"""Sections "Code Management" and "Offline Codes": allocate, set, input; every error."""

import re
from typing import Any

import pytest

import holdfast
from holdfast.codes.words import THREE_SYLLABLES, TWO_SYLLABLES
from tests.api.world import APPID, CODE, Delegate, Net

# allocate_code.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({}, 2), ({"length": 1}, 1), ({"length": 5}, 5), ({"code_length": 3}, 3)],
    ids=str,
)
def test_allocate_code_makes_a_nameplate_and_words_of_alternating_lists(
    net: Net, arguments: dict[str, int], words: int
) -> None:
    """`length` (its synonym is `code_length`) words, the first of three syllables."""
    ours = net.create()
    ours.allocate_code(**arguments)
    nameplate, *chosen = net.result(ours.get_code()).split("-")
    assert [nameplate] == net.server.tables().names(APPID)
    assert len(chosen) == words
    for place, word in enumerate(chosen):
        assert word in (TWO_SYLLABLES if place % 2 else THREE_SYLLABLES)


def test_allocate_code_takes_its_length_by_place(net: Net) -> None:
    """`allocate_code(4)` is four words."""
    ours = net.create()
    ours.allocate_code(4)
    assert net.result(ours.get_code()).count("-") == 4


@pytest.mark.parametrize(
    ("length", "error"), [("2", TypeError), (True, TypeError), (2.0, TypeError), (0, ValueError)]
)
def test_a_length_that_is_none(net: Net, length: Any, error: type[Exception]) -> None:
    """A length that is no number of words is refused, and uses up nothing."""
    ours = net.create()
    with pytest.raises(error):
        ours.allocate_code(length)
    with pytest.raises(error):
        ours.allocate_code(code_length=length)
    ours.allocate_code()


def test_words_are_chosen_at_random(net: Net) -> None:
    """Fifty codes on one server have different words."""
    codes = set()
    for _ in range(50):
        ours = net.create()
        ours.allocate_code()
        codes.add(net.result(ours.get_code()).partition("-")[2])
    assert len(codes) > 45


# set_code.

MALFORMED = [
    " 4-crimson-bananas",
    "\t4-crimson-bananas",
    "crimson-bananas",
    "-crimson-bananas",
    "4 crimson bananas",
    "4-crimson bananas",
    "4-crimson-bananas ",
    "4-crimson-bananas\n",
    "4purple",
    "4",
    "4-",
    "",
    "-",
    "x-4-purple",
    "-4-purple",
    "\u0664-crimson-bananas",
    "4" * 41 + "-purple",
    "4-\x00",
    "4-\ud800",
    "4-" + "x" * 1000,
]


@pytest.mark.parametrize("code", MALFORMED, ids=ascii)
def test_an_invalid_code_raises_keyformaterror_in_set_code(net: Net, code: str) -> None:
    """KeyFormatError at once; it does not use up the one code (BEHAVIOUR 18)."""
    ours = net.create()
    with pytest.raises(holdfast.KeyFormatError) as refusal:
        ours.set_code(code)
    if "crimson" in code:
        assert code.strip() not in str(refusal.value), "a code is a secret"
    ours.set_code(CODE)
    assert net.result(ours.get_code()) == CODE
    with pytest.raises(holdfast.OnlyOneCodeError):
        ours.set_code(CODE)
    with pytest.raises(holdfast.KeyFormatError):
        ours.set_code(code)


WAYS = {
    "allocate": lambda ours: ours.allocate_code(),
    "set": lambda ours: ours.set_code(CODE),
    "input": lambda ours: ours.input_code(),
}


@pytest.mark.parametrize("mode", ["deferred", "delegated"])
@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_only_one_code(net: Net, first: str, second: str, mode: str) -> None:
    """Any second one of allocate, set and input raises OnlyOneCodeError at once (BEHAVIOUR 18)."""
    ours = net.create(delegate=None if mode == "deferred" else object())
    WAYS[first](ours)
    with pytest.raises(holdfast.OnlyOneCodeError):
        WAYS[second](ours)
    net.run()
    with pytest.raises(holdfast.OnlyOneCodeError):
        WAYS[second](ours)


@pytest.mark.parametrize("way", WAYS)
def test_get_code_fires_no_matter_which_way_is_used(net: Net, way: str) -> None:
    """`get_code` fires for allocate, set and input alike."""
    ours = net.create()
    waiting = ours.get_code()
    helper: Any = WAYS[way](ours)
    if helper is not None:
        helper.choose_nameplate("4")
        helper.choose_words("purple-sausages")
    code = net.result(waiting)
    assert re.fullmatch(r"[0-9]+(-[a-z]+){2}", code)
    assert (code == CODE) is (way != "allocate")


@pytest.mark.parametrize("closed", ["asked to", "happily", "badly"])
def test_no_code_after_the_end(net: Net, closed: str) -> None:
    """A closed wormhole says that it is closed, or what it ended with; not that it has a code."""
    error: type[Exception] = holdfast.WormholeClosed
    if closed == "badly":
        net.server.welcome = {"error": "go away"}
        error = holdfast.WelcomeError
    ours = net.create(delegate=object())
    typed = net.create(delegate=object())
    helper = typed.input_code()
    if closed != "badly":
        ours.close()
        typed.close()
    if closed != "asked to":
        net.run()
    for way in WAYS.values():
        with pytest.raises(error):
            way(ours)
    for call in (
        helper.refresh_nameplates,
        lambda: helper.get_nameplate_completions(""),
        lambda: helper.choose_nameplate("4"),
        lambda: helper.get_word_completions(""),
        lambda: helper.choose_words("x"),
    ):
        with pytest.raises(error):
            call()
    failed: list[Any] = []
    helper.when_wordlist_is_available().addErrback(failed.append)
    net.run()
    assert failed[0].check(error)


# input_code: the helper.


def typing(net: Net, listed: list[str] | None = None) -> tuple[Any, Any]:
    """A connected wormhole and its helper, which knows the nameplates."""
    net.network.listed = listed
    ours = net.create()
    helper = ours.input_code()
    net.run()
    return ours, helper


def test_nameplate_completions_of_the_documents_example(net: Net) -> None:
    """Exactly the set that the document gives, each with its hyphen."""
    _, helper = typing(net, ["1", "12", "13", "24", "170"])
    assert helper.get_nameplate_completions("1") == {"1-", "12-", "13-", "170-"}
    assert helper.get_nameplate_completions("17") == {"170-"}
    assert helper.get_nameplate_completions("9") == set()
    assert helper.get_nameplate_completions("") == {"1-", "12-", "13-", "24-", "170-"}


def test_word_completions_of_the_documents_examples(net: Net) -> None:
    """Exactly the sets that the document gives; all begin with the prefix."""
    _, helper = typing(net)
    helper.choose_nameplate("4")
    net.run()
    complete = helper.get_word_completions
    assert complete("su") == {"supportive-", "surrender-", "suspicious-"}
    assert complete("pr") == {"processor-", "provincial-", "proximate-"}
    assert complete("opulent-pr") == {
        "opulent-preclude",
        "opulent-prefer",
        "opulent-preshrunk",
        "opulent-printer",
        "opulent-prowler",
    }


def test_word_completions_are_empty_until_the_wordlist_is_known(net: Net) -> None:
    """The word list is known once the nameplate is claimed; a Deferred tells."""
    _, helper = typing(net)
    available = helper.when_wordlist_is_available()
    helper.choose_nameplate("4")
    assert helper.get_word_completions("su") == set()
    assert not available.called
    assert net.result(available) is None
    assert len(helper.get_word_completions("su")) == 3
    assert net.result(helper.when_wordlist_is_available()) is None


def test_refreshed_nameplates_come_in_the_background(net: Net) -> None:
    """Completions use the list as it was before the answer, and the new one after it."""
    _, helper = typing(net, ["1"])
    net.network.listed = ["1", "2"]
    helper.refresh_nameplates()
    assert helper.get_nameplate_completions("") == {"1-"}
    net.run()
    assert helper.get_nameplate_completions("") == {"1-", "2-"}


def test_nameplates_asked_for_offline_are_asked_for_later(net: Net) -> None:
    """A question while there is no connection is asked on the next one."""
    net.server.stop()
    net.network.listed = ["7"]
    helper = net.create().input_code()
    net.run()
    net.server.start()
    net.run(2)
    assert helper.get_nameplate_completions("") == {"7-"}


def test_nameplates_whose_list_was_lost_are_asked_for_again(net: Net) -> None:
    """Once on each connection, until there is an answer."""
    net.network.mute = {"list"}
    _, helper = typing(net, ["7"])
    [line] = net.network.connectors

    def asked() -> int:
        return [frame["type"] for frame in net.network.frames].count("list")

    def come_back() -> None:
        line.cut()
        net.run(2)

    assert asked() == 1
    come_back()
    assert asked() == 2
    net.network.mute = set()
    come_back()
    assert helper.get_nameplate_completions("") == {"7-"}
    come_back()
    assert asked() == 3, "an answer is enough"


NAMEPLATE_CALLS = {
    "refresh_nameplates": lambda helper: helper.refresh_nameplates(),
    "get_nameplate_completions": lambda helper: helper.get_nameplate_completions("1"),
    "choose_nameplate": lambda helper: helper.choose_nameplate("4"),
}
WORD_CALLS = {
    "get_word_completions": lambda helper: helper.get_word_completions("su"),
    "choose_words": lambda helper: helper.choose_words("purple-sausages"),
}


@pytest.mark.parametrize("call", WORD_CALLS)
def test_must_choose_nameplate_first(net: Net, call: str) -> None:
    """Words before the nameplate raise MustChooseNameplateFirstError (BEHAVIOUR 20)."""
    _, helper = typing(net)
    with pytest.raises(holdfast.MustChooseNameplateFirstError):
        WORD_CALLS[call](helper)
    helper.choose_nameplate("4")
    WORD_CALLS[call](helper)


@pytest.mark.parametrize("stage", ["nameplate", "claimed", "words"])
@pytest.mark.parametrize("call", NAMEPLATE_CALLS)
def test_already_chose_nameplate(net: Net, call: str, stage: str) -> None:
    """Everything about nameplates raises AlreadyChoseNameplateError from the choice on."""
    _, helper = typing(net)
    NAMEPLATE_CALLS[call](helper) if call != "choose_nameplate" else None
    helper.choose_nameplate("4")
    if stage != "nameplate":
        net.run()
    if stage == "words":
        helper.choose_words("purple-sausages")
    with pytest.raises(holdfast.AlreadyChoseNameplateError):
        NAMEPLATE_CALLS[call](helper)


@pytest.mark.parametrize("call", WORD_CALLS)
def test_already_chose_words(net: Net, call: str) -> None:
    """Everything about words raises AlreadyChoseWordsError after `choose_words`."""
    ours, helper = typing(net)
    helper.choose_nameplate("4")
    assert helper.choose_words("purple-sausages") is None
    with pytest.raises(holdfast.AlreadyChoseWordsError):
        WORD_CALLS[call](helper)
    assert net.result(ours.get_code()) == CODE


@pytest.mark.parametrize("nameplate", [" 4", "4 ", "", "x", "4-", "purple-sausages", "\u0664"])
def test_an_invalid_nameplate_raises_keyformaterror(net: Net, nameplate: str) -> None:
    """KeyFormatError in `choose_nameplate`; another may be chosen."""
    _, helper = typing(net)
    with pytest.raises(holdfast.KeyFormatError):
        helper.choose_nameplate(nameplate)
    helper.choose_nameplate("4")


@pytest.mark.parametrize("words", ["", " purple", "purple sausages", "purple\n"])
def test_invalid_words_raise_keyformaterror(net: Net, words: str) -> None:
    """KeyFormatError in `choose_words`; others may be chosen."""
    _, helper = typing(net)
    helper.choose_nameplate("4")
    with pytest.raises(holdfast.KeyFormatError):
        helper.choose_words(words)
    helper.choose_words("purple-sausages")


def test_choose_nameplate_claims_at_once_and_adds_nothing(net: Net) -> None:
    """The peer's PAKE may come before the words; nothing of ours is in the mailbox until then."""
    theirs = net.create()
    theirs.set_code(CODE)
    net.run()
    ours, helper = typing(net)
    before = len(net.network.frames)
    helper.choose_nameplate("4")
    net.run()
    kinds = [frame["type"] for frame in net.network.frames[before:]]
    assert "claim" in kinds
    assert "add" not in kinds
    helper.choose_words("purple-sausages")
    assert net.result(ours.get_verifier()) == net.result(theirs.get_verifier())


def test_typing_is_resumed_in_delegated_mode(net: Net) -> None:
    """Whoever typed in an earlier life goes on typing in this one, at any stage."""
    first = net.create(delegate=Delegate())
    first.input_code()
    document = first.serialize()
    first.abandon()
    second = net.resume(document, Delegate())
    helper = second.input_code()
    with pytest.raises(holdfast.OnlyOneCodeError):
        second.input_code()
    assert helper.chosen_nameplate is None
    helper.choose_nameplate("4")
    net.run()
    document = second.serialize()
    second.abandon()
    delegate = Delegate()
    third = net.resume(document, delegate)
    helper = third.input_code()
    assert helper.chosen_nameplate == "4"
    with pytest.raises(holdfast.AlreadyChoseNameplateError):
        helper.choose_nameplate("5")
    helper.choose_words("purple-sausages")
    net.run()
    assert delegate.got("code") == CODE
    assert net.server.tables().names(APPID) == ["4"]


def test_typing_does_not_mix_with_setting(net: Net) -> None:
    """While one types, `set_code` is refused; the typing goes on."""
    ours, helper = typing(net)
    with pytest.raises(holdfast.OnlyOneCodeError):
        ours.set_code(CODE)
    helper.choose_nameplate("4")
    helper.choose_words("purple-sausages")
    assert net.result(ours.get_code()) == CODE


def test_the_two_sides_are_not_distinguished(net: Net) -> None:
    """It does not matter which side allocates, types or sets, nor which comes first."""
    for first, second in (("allocate", "set"), ("allocate", "type")):
        ours, theirs = net.create(), net.create()
        ours.allocate_code()
        code = net.result(ours.get_code())
        if second == "set":
            theirs.set_code(code)
        else:
            helper = theirs.input_code()
            nameplate, _, words = code.partition("-")
            helper.choose_nameplate(nameplate)
            helper.choose_words(words)
        assert net.result(ours.get_verifier()) == net.result(theirs.get_verifier()), first


# Offline Codes.


@pytest.mark.parametrize(
    "code", ["913-166532", "123-HTTHHHTTHTTHHTHH", "777-Käse/ü%_", "1000000-x"]
)
def test_offline_codes_set_on_both_sides(net: Net, code: str) -> None:
    """Any number and any text serve as a code, when both sides set it."""
    ours, theirs = net.create(), net.create()
    theirs.set_code(code)
    ours.set_code(code)
    theirs.send_message(b"offline")
    assert net.result(ours.get_message()) == b"offline"


def test_offline_codes_with_the_stock_client(mailbox: Any) -> None:
    """The document's own examples, set on both sides, reach a stock peer."""
    from twisted.internet import reactor as real

    from tests.harness import reactor
    from tests.harness.scripted import StockPeer

    async def exchange(code: str) -> None:
        ours = holdfast.create(APPID, mailbox.url, real)
        stock = StockPeer(mailbox.url, appid=APPID)
        ours.set_code(code)
        stock.wormhole.set_code(code)
        assert await ours.get_verifier() == await stock.wormhole.get_verifier()
        assert await ours.close() == await stock.close() == "happy"

    for code in ("913-166532", "123-HTTHHHTTHTTHHTHH"):
        reactor.run(lambda code=code: exchange(code))
