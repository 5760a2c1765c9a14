"""How the core's Automat machines are begun, saved and restored.

Everything that affects a machine's behaviour lives in two places: the name of its state, and an
attrs object of JSON values (its *data*).  A `Part` is the two together; a `Blueprint` makes parts.

Automat moves the state before a transition's behaviour runs, so after any exception the part must
be thrown away and restored from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from holdfast.core.documents import structure, unstructure
from holdfast.errors import BadCheckpoint


class Located(Protocol):
    """What every machine answers."""

    def where(self) -> str:
        """Name the current state."""
        ...


I = TypeVar("I", bound=Located)  # noqa: E741 - the inputs of a machine
D = TypeVar("D")


@define(eq=False)
class Part(Generic[I, D]):
    """One machine with its data.

    The machine itself is made when something happens, and is let go when its new state is known:
    a wormhole that waits has seven parts, and there are thousands of wormholes.
    """

    data: D
    _blueprint: Blueprint[I, D] = field(repr=False)
    _state: str | None
    """The name of the current state; None if the machine must be asked for it."""
    _machine: I | None = field(default=None, init=False, repr=False)

    @property
    def inputs(self) -> I:
        """What can happen to it: call one at once, for each use is taken for a change."""
        if self._machine is None:
            self._machine = self._blueprint.machine(self.data, self.state)
        self._state = None
        return self._machine

    @property
    def state(self) -> str:
        """The name of the current state."""
        # Asking Automat takes ten microseconds, and we ask dozens of times an event.
        state = self._state
        if state is None:  # then there is a machine, to which something happened
            state = self._state = self._machine.where()  # type: ignore[union-attr]
            self._machine = None  # until something happens again
        return state

    def serialize(self) -> dict[str, object]:
        """Return the part as JSON values."""
        return {"state": self.state, "data": unstructure(self.data)}


@frozen
class Blueprint(Generic[I, D]):
    """Makes and restores the parts of one kind.

    Args:
        data: the attrs class of the machine's data.
        states: the names of all states, the initial one first.
    """

    data: type[D]
    states: Mapping[str, Any] = field(repr=False)
    _make: Callable[..., I] = field(repr=False)

    def begin(self, data: D) -> Part[I, D]:
        """Make a part in the initial state."""
        return Part(data, self, next(iter(self.states)))

    def restore(self, record: object) -> Part[I, D]:
        """Bring back what `Part.serialize` gave.

        Raises:
            BadCheckpoint: the record is damaged.
        """
        saved = structure(record, Saved)
        data = structure(saved.data, self.data)
        if saved.state not in self.states:
            raise BadCheckpoint(
                f"the saved wormhole is damaged: {self.data.__name__} has no state of that name"
            )
        return Part(data, self, saved.state)

    def machine(self, data: D, state: str) -> I:
        """Make the machine of a part in the state of that name."""
        return self._make(data, self.states[state])


@frozen
class Saved:
    """The shape of a serialized part."""

    state: str
    data: dict[str, Any]


def blueprint(
    builder: TypeMachineBuilder[I, D],
    where: Callable[[I], str],
    data: type[D],
    states: Sequence[Any],
) -> Blueprint[I, D]:
    """Finish a machine: let every state answer the input *where* with its name, and build it.

    Raises:
        ValueError: two states share a name (Automat itself does not notice).
    """
    named = {state.name: state for state in states}
    if len(named) != len(states):
        raise ValueError(f"two states of {data.__name__} share a name")
    for state in states:
        state.upon(where).loop().returns(state.name)
    return Blueprint(data, named, builder.build())
