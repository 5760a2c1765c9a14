"""Randomness drawn from one seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.crypto import Entropy

SEED = bytes(range(32))


def test_draws_never_change() -> None:
    """A draw is a function of seed, label and length: replaying a history depends on it."""
    assert Entropy(SEED).draw("side", 5).hex() == "55969a6dd3"
    assert Entropy(SEED).draw("scalar", 64).hex() == (
        "c8878f4643f2d272e67acd665257fe41c57f0b4c05d4b7a38f6410fadb8929f0"
        "48f41064d46a1fa0c1aa7bf98a6853add13c2c3a0dd28280ada8f56bda35c9a9"
    )


@given(
    seed=st.binary(min_size=32, max_size=32),
    label=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    length=st.integers(1, 300),
)
def test_draws_repeat(seed: bytes, label: str, length: int) -> None:
    """The same draw gives the same bytes, as many as were asked for."""
    drawn = Entropy(seed).draw(label, length)
    assert len(drawn) == length
    assert drawn == Entropy(seed).draw(label, length)


def test_draws_are_independent() -> None:
    """Another label, length or seed gives bytes that do not begin alike."""
    entropy = Entropy(SEED)
    draws = [
        entropy.draw("nonce", 64),
        entropy.draw("nonce", 24),
        entropy.draw("nonces", 64),
        entropy.draw("", 64),
        Entropy(bytes(32)).draw("nonce", 64),
        entropy.draw("nonce", 200)[64:128],
    ]
    assert len({draw[:16] for draw in draws}) == len(draws)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), "0" * 32, None])
def test_seeds_that_are_refused(seed: object) -> None:
    """A seed is 32 bytes; the complaint does not show it."""
    with pytest.raises(ValueError, match="32 bytes") as caught:
        Entropy(seed)  # type: ignore[arg-type]
    assert "\\x00" not in str(caught.value)


def test_length_is_positive() -> None:
    """Nothing cannot be drawn."""
    with pytest.raises(ValueError, match="at least 1 byte"):
        Entropy(SEED).draw("side", 0)


def test_seed_stays_out_of_sight() -> None:
    """The seed is not in the representation."""
    assert repr(Entropy(SEED)) == "Entropy()"
