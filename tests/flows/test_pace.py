"""How often a transfer tells its flow how far it is."""

from holdfast.flows.shipped.pace import at_most_each_second


def test_the_first_in_a_second_and_the_end() -> None:
    """Little is told, but that all has moved is told at once, and once."""
    times = iter((0.0, 0.5, 0.9, 1.1, 1.2, 1.3, 1.3, 9.0))
    told: list[int] = []
    maybe = at_most_each_second(told.append, lambda: next(times), 100)
    for moved in (10, 20, 30, 40, 50, 100, 100, 100):
        maybe(moved)
    assert told == [10, 40, 100]
