"""The error classes that applications catch."""

import pickle

import pytest

from holdfast import errors

SERVERS_WORDS = [errors.ServerError, errors.WelcomeError]
WITH_ADVICE = [
    errors.WormholeError,
    errors.KeyFormatError,
    errors.WrongPasswordError,
    errors.LonelyError,
    errors.NoKeyError,
    errors.OnlyOneCodeError,
    errors.AlreadyChoseNameplateError,
    errors.AlreadyChoseWordsError,
    errors.MustChooseNameplateFirstError,
    errors.BadCheckpoint,
    errors.AlreadyResumed,
    errors.WormholeClosed,
]
ALL = [*SERVERS_WORDS, *WITH_ADVICE]


@pytest.mark.parametrize("error", ALL)
def test_what_is_a_wormhole_error(error: type[Exception]) -> None:
    """All are WormholeErrors but WormholeClosed, and each is described."""
    assert issubclass(error, errors.WormholeError) != (error is errors.WormholeClosed)
    assert error.__doc__


@pytest.mark.parametrize("error", WITH_ADVICE)
def test_advice(error: type[Exception]) -> None:
    """Without a text of its own an error says what to do; with one it says exactly that."""
    assert str(error()).endswith(".")
    assert str(error("just this")) == "just this"


@pytest.mark.parametrize("error", SERVERS_WORDS)
def test_servers_words(error: type[Exception]) -> None:
    """What the server said is the text, unchanged."""
    assert str(error("crowded")) == "crowded"


@pytest.mark.parametrize("error", ALL)
def test_errors_travel(error: type[Exception]) -> None:
    """An error survives pickling, as processes and test runners do to it."""
    twin = pickle.loads(pickle.dumps(error("text")))
    assert type(twin) is error
    assert str(twin) == "text"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.PeerError("bad"), "The other side's program misbehaved: bad"),
        (errors.ServerConnectionError("ws://x", OSError("y")), "cannot be reached: y"),
        (
            errors.ServerConnectionError("ws://x", OSError("y"), "no one"),
            "cannot be reached: no one",
        ),
    ],
)
def test_errors_with_more_than_a_text_travel(error: Exception, says: str) -> None:
    """Those that say more than what they were made from, too."""
    twin = pickle.loads(pickle.dumps(error))
    assert str(twin) == str(error)
    assert str(twin).endswith(says)
    assert {name: str(value) for name, value in vars(twin).items()} == {
        name: str(value) for name, value in vars(error).items()
    }
