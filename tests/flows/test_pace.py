"""How often a transfer tells its flow how far it is."""

from holdfast.flows.shipped.pace import Speed, at_most_each_second


def test_the_first_in_a_second_and_the_end() -> None:
    """Little is told, but that all has moved is told at once, and once."""
    times = iter((0.0, 0.5, 0.9, 1.1, 1.2, 1.3, 1.3, 9.0))
    told: list[int] = []
    maybe = at_most_each_second(told.append, lambda: next(times), 100)
    for moved in (10, 20, 30, 40, 50, 100, 100, 100):
        maybe(moved)
    assert told == [10, 40, 100]


def test_speed() -> None:
    """It is that since the last beginning; without one, the first report is the beginning."""
    speed, unknown = Speed(), {"rate": None, "left": None}
    assert speed.figures(10.0, 100, 1000) == unknown
    assert speed.figures(12.0, 300, 1000) == {"rate": 100, "left": 7}
    speed.pause()
    assert speed.figures(50.0, 300, 1000) == unknown
    assert speed.figures(51.0, 500, 1000) == {"rate": 200, "left": 3}
    speed.begin(60.0, 400)
    assert speed.figures(60.0, 500, 1000) == unknown, "within the clock's resolution"
    assert speed.figures(61.0, 1000, 1000) == {"rate": 600, "left": None}
    assert speed.figures(62.0, 0, 1000) == unknown, "it begins again, further back"
    assert speed.figures(63.0, 10, 1000) == {"rate": 10, "left": 99}
