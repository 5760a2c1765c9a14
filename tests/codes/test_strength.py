"""How many words a code has for its guesses."""

from holdfast.codes.strength import chance, fewest_words


def test_all_guesses_together_are_no_better_than_one_at_two_words() -> None:
    """With as few words as that takes."""
    for guesses in range(1, 1000):
        words = fewest_words(guesses)
        assert chance(guesses, words) <= chance(1, 2) == 1 / 65_536
        assert words == 2 or chance(guesses, words - 1) > chance(1, 2)


def test_the_chance_of_a_guess() -> None:
    """One of the codes that there are; and never more than certainty."""
    assert chance(1, 1) == 1 / 256
    assert chance(3, 3) == 3 / 256**3
    assert chance(1000, 1) == 1
