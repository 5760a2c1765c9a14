"""How the core's Automat machines are begun, saved and restored.

Everything that affects a machine's behaviour lives in two places: the name of its state, and an
attrs object of JSON values (its `data`). A `Part` is the two together; a `Blueprint` makes parts.

The names of a machine's states are a `Literal`, so that a type checker sees a misspelt one in every
comparison: write `part.state == "open"`, or `part.is_in("open", "closing")` for several, because
mypy does not look into `part.state in ("open", "closing")`.

Automat moves the state before a transition's behaviour runs, so after any exception the part must
be thrown away and restored from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast, get_args, get_type_hints

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from holdfast.core.documents import structure, unstructure
from holdfast.errors import BadCheckpoint


class Located(Protocol):
    """What every machine answers."""

    def where(self) -> Any:
        """Name the current state, with one of the machine's own `Literal`."""
        ...


I = TypeVar("I", bound=Located)  # noqa: E741 - the inputs of a machine
D = TypeVar("D")
S = TypeVar("S", bound=str)
"""The names of a machine's states, a `Literal`."""


@define(eq=False)
class Part(Generic[I, D, S]):
    """One machine with its data.

    The machine itself is made when something happens, and is dropped when its new state is known:
    a wormhole that waits has seven parts, and there are thousands of wormholes.
    """

    data: D
    _blueprint: Blueprint[I, D, S] = field(repr=False)
    _state: S | None
    """The name of the current state; None if the machine must be asked for it."""
    _machine: I | None = field(default=None, init=False, repr=False)

    def change(self) -> I:
        """Return the machine, for one input; from then on, the state is asked for anew."""
        machine = self._machine
        if machine is None:
            machine = self._machine = self._blueprint.machine(self.data, self.state)
        self._state = None
        return machine

    @property
    def state(self) -> S:
        """The name of the current state."""
        # Asking Automat takes ten microseconds, and we ask dozens of times per event.
        state = self._state
        if state is None:
            assert self._machine is not None  # noqa: S101 - for type checkers: see `change`
            state = self._state = cast(S, self._machine.where())
            self._machine = None  # until something happens again
        return state

    def is_in(self, *states: S) -> bool:
        """Whether the current state is one of these."""
        return self.state in states

    def serialize(self) -> dict[str, object]:
        """Return the part as JSON values."""
        return {"state": self.state, "data": unstructure(self.data)}


@frozen
class Blueprint(Generic[I, D, S]):
    """Makes and restores the parts of one kind.

    Args:
        data: the attrs class of the machine's data.
        states: the names of all states, the initial one first.
    """

    data: type[D]
    states: Mapping[S, Any] = field(repr=False)
    _make: Callable[..., I] = field(repr=False)

    def begin(self, data: D) -> Part[I, D, S]:
        """Make a part in the initial state."""
        return Part(data, self, next(iter(self.states)))

    def restore(self, record: object) -> Part[I, D, S]:
        """Bring back what `Part.serialize` gave.

        Raises:
            BadCheckpoint: the record is damaged.
        """
        saved = structure(record, SavedPart)
        data = structure(saved.data, self.data)
        if saved.state not in self.states:
            raise BadCheckpoint(
                f"the saved wormhole is damaged: {self.data.__name__} has no state of that name"
            )
        return Part(data, self, cast(S, saved.state))

    def machine(self, data: D, state: S) -> I:
        """Make the machine of a part in the state of that name."""
        return self._make(data, self.states[state])


@frozen
class SavedPart:
    """The shape of a serialized part."""

    state: str
    data: dict[str, Any]


def blueprint(
    builder: TypeMachineBuilder[I, D],
    where: Callable[[I], S],
    data: type[D],
    states: Sequence[Any],
) -> Blueprint[I, D, S]:
    """Finish a machine: let every state answer the input `where` with its name, and build it.

    Raises:
        ValueError: two states share a name (Automat itself does not notice), or the names are not
            those of the `Literal` that `where` returns.
    """
    named: dict[S, Any] = {state.name: state for state in states}
    if len(named) != len(states):
        raise ValueError(f"two states of {data.__name__} share a name")
    if tuple(named) != get_args(get_type_hints(where)["return"]):
        raise ValueError(f"the states of {data.__name__} are not those of its Literal")
    for state in states:
        state.upon(where).loop().returns(state.name)
    return Blueprint(data, named, builder.build())
