"""Tasks and the methods for their results: names that do not go together are found at once."""

from collections.abc import Iterator
from typing import Any

import pytest

from holdfast import Flow, activity, flow, task
from holdfast.flows import activities, base, tasks
from holdfast.flows.base import problems
from holdfast.testing import World

APPID = "example.com/asked"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is unknown again afterwards."""
    registries: list[dict[str, Any]] = [base._kinds, tasks._kinds, activities._kinds]  # type: ignore[list-item]
    before = [dict(each) for each in registries]
    yield
    for each, earlier in zip(registries, before, strict=True):
        each.clear()
        each.update(earlier)


def refused(cls: type[Flow]) -> str:
    with pytest.raises(TypeError) as raised:
        flow("test-asked", appid=APPID)(cls)
    assert "test-asked" not in base.kinds()
    return str(raised.value)


def found(cls: type[Flow]) -> list[str]:
    """Register a class, and then what it needs, as a module does; return what is wrong."""
    flow("test-asked", appid=APPID)(cls)
    task("ask-known")(known)
    activity("asked-activity")(lambda session: None)  # type: ignore[arg-type,return-value]
    return list(problems("test-asked"))


def known(call: Any) -> None: ...


class Base(Flow):
    def started(self) -> None:
        self.perform("ask-known")

    def ask_known_failed(self, reason: str) -> None: ...


class Silent(Base):
    """It has nothing for the result."""


class Nested(Flow):
    def started(self) -> None:
        for call in [lambda: self.perform("ask-known")]:
            call()


class Named(Flow):
    def started(self) -> None:
        self.perform(what="ask-nothing", task="ask-known")


class Misspelt(Base):
    def ask_knwon_done(self, result: None) -> None: ...


@pytest.mark.parametrize("cls", [Silent, Nested, Named])
def test_a_result_that_nobody_takes(cls: type[Flow]) -> None:
    """A class that performs a task and has no method for its result is refused, in clear words."""
    assert refused(cls) == (
        "the flow 'test-asked': it performs the task 'ask-known', and has no method"
        " ask_known_done(self, result); if it wants no result, say so: ask_known_done = None"
    )


def test_a_result_under_another_name() -> None:
    """The name that was meant is shown."""
    assert "ask_known_done(self, result) (it has ask_knwon_done);" in refused(Misspelt)


def test_a_function_whose_result_nobody_takes() -> None:
    """A task that is given as its function is one like the others, if it is registered by then."""

    class ByFunction(Flow):
        def started(self) -> None:
            self.perform(known)

    task("ask-known")(known)
    assert "ask_known_done(self, result)" in refused(ByFunction)


def test_a_function_that_is_registered_later() -> None:
    """Then it is found when the flow is to be served."""

    class ByFunction(Flow):
        def started(self) -> None:
            self.perform(known)

    [problem] = found(ByFunction)
    assert "ask_known_done(self, result)" in problem


class Heard(Base):
    def ask_known_done(self, result: None) -> None: ...


class WantsNone(Base):
    ask_known_done = None


class Inherits(Heard):
    """Everything is in the class that it inherits from."""


class Replaced(Base):
    def started(self) -> None:
        """What the other class performs here is not performed."""


class ChosenLater(Flow):
    job: str = "ask-known"

    def started(self) -> None:
        self.perform(self.job)

    def ask_known_done(self, result: None) -> None: ...


class PutTogether(Flow):
    job: str = "known"

    def started(self) -> None:
        self.perform(f"ask-{self.job}", what="text")
        self.perform("ask-" + self.job)
        self.perform(what="text", task=self.job)

    def ask_known_done(self, result: None) -> None: ...


class ByAnother(Flow):
    """A protocol of its wormhole asks for the task."""

    def ask_known_done(self, result: None) -> None: ...


class Reported(Flow):
    def asked_activity_done(self, value: None) -> None: ...

    def asked_activity_has_failed(self, value: None) -> None: ...


class OfItsCommand(Flow):
    tasks_of_its_command = frozenset({"ask-person"})

    def started(self) -> None:
        self.perform("ask-person")

    def ask_person_done(self, answer: str) -> None: ...


class Helpers(Flow):
    def started(self) -> None:
        if self.all_done([1]) and self.is_done and not self._has_failed(1):
            self.finish()

    @property
    def is_done(self) -> bool:
        return True

    def all_done(self, jobs: list[int]) -> bool:
        return bool(jobs)

    def _has_failed(self, job: int) -> bool:
        return False

    def nearly_done(self) -> bool:
        return False


@pytest.mark.parametrize(
    "cls",
    [
        *(Heard, WantsNone, Inherits, ChosenLater, PutTogether, ByAnother),
        *(Reported, OfItsCommand, Helpers),
    ],
)
def test_what_goes_together(cls: type[Flow]) -> None:
    """Nothing is said about it, whatever order it is registered in."""
    assert found(cls) == []


def test_what_is_overridden_performs_nothing() -> None:
    """Only the method for a task's failure remains, and a task has that name."""
    assert found(Replaced) == []


def test_a_task_that_is_unknown() -> None:
    """It would fail whenever it is asked for."""

    class Lost(Flow):
        def started(self) -> None:
            self.perform("ask-nobody")

        def ask_nobody_done(self, result: None) -> None: ...

    [problem] = found(Lost)
    assert "the task 'ask-nobody', and no function here is registered as that" in problem
    with World() as world, pytest.raises(ValueError, match="ask-nobody"):
        world.start(Lost())


def test_a_method_that_nothing_calls() -> None:
    """A failure that is to be handled, and would not be."""

    class Deaf(Heard):
        def ask_knwon_failed(self, reason: str) -> None: ...

    [problem] = found(Deaf)
    assert problem == (
        "the flow 'test-asked': nothing calls its method ask_knwon_failed: no task is called"
        " 'ask-knwon' here (there is ask_known_failed)"
    )


def test_what_ships_goes_together() -> None:
    """None of our own flows has a name that leads nowhere."""
    from holdfast.operating.own_flows import ship

    ship()
    ours = [
        kind for kind in base.kinds() if base.flow_class(kind).__module__.startswith("holdfast.")
    ]
    assert len(ours) >= 5
    assert [problem for kind in ours for problem in problems(kind)] == []
