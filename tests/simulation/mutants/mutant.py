"""What a mutant is: a name, what it breaks and why that matters, and the patches that break it.

A patch is put on from outside, and taken off again; no file is edited. One whose place is gone, or
does not look any more as it did, raises `Gone`: then the mutant must be made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field, frozen

from tests.simulation import threads
from tests.simulation.running import Outcome, run
from tests.simulation.world import FLOWS


class Gone(Exception):
    """What a mutant breaks is not there any more."""


@define
class Patches:
    """What one mutant changes, so that it can be taken back."""

    _undo: list[tuple[object, str, object]] = field(factory=list)

    def wrap(self, place: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        """Put `make(real)` in the place of a function or method, for our own processes.

        Who is at the other end runs the same code, and goes on with the real one.
        """
        real = place.__dict__.get(name)
        if real is None:
            raise Gone(f"{place.__name__} has no {name} of its own any more")
        plain = real.__func__ if isinstance(real, classmethod | staticmethod) else real
        if isinstance(real, property):
            plain = real.fget
        broken = make(plain)

        def either(*args: Any, **kwargs: Any) -> Any:
            ours = threads.running_process().is_ours
            return (broken if ours else plain)(*args, **kwargs)

        kind = type(real) if isinstance(real, classmethod | staticmethod | property) else None
        self._undo.append((place, name, real))
        setattr(place, name, either if kind is None else kind(either))

    def text(self, place: Any, name: str, old: str, new: str) -> Callable[[], str]:
        """What a text would be with `new` instead of `old`."""
        text = place.__dict__.get(name)
        if not isinstance(text, str) or old not in text:
            raise Gone(f"{name} of {place.__name__} does not say {old!r} any more")
        return lambda: text.replace(old, new)

    def take_off(self) -> None:
        """Mend everything."""
        while self._undo:
            place, name, real = self._undo.pop()
            setattr(place, name, real)


@frozen
class Mutant:
    """A broken variant."""

    name: str
    breaks: str
    """What is wrong with it, in words."""
    matters: str
    """What would come of it."""
    within: int
    """Seeds within which the simulator must find it."""
    trouble: Mapping[str, float]
    """What must go wrong often in the worlds of those seeds."""
    kinds: Sequence[str]
    """The flows in them."""
    peers: Sequence[str]
    """What the people in them do."""
    _put_on: Callable[[Patches], None] = field(repr=False)
    _live: Callable[..., Outcome] = field(default=run, repr=False)

    def run(self, seed: int) -> Outcome:
        """Run a seed under this mutant. Raises Gone."""
        with self.broken():
            return self.run_whole(seed)

    def run_whole(self, seed: int) -> Outcome:
        """Run the same world with nothing broken."""
        return self._live(seed, self.trouble, self.kinds, self.peers)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Holdfast is broken in this way, in this process, until the end of the block.

        Raises Gone.
        """
        patches = Patches()
        try:
            self._put_on(patches)
            yield
        finally:
            patches.take_off()


MUTANTS: dict[str, Mutant] = {}


def mutant(
    breaks: str,
    matters: str,
    within: int = 20,
    trouble: Mapping[str, float] | None = None,
    kinds: Sequence[str] = FLOWS,
    peers: Sequence[str] = (),
    live: Callable[..., Outcome] = run,
) -> Callable[[Callable[[Patches], None]], Callable[[Patches], None]]:
    """Add a mutant, named as the function that puts its patches on; `live` runs its seeds."""

    def register(put_on: Callable[[Patches], None]) -> Callable[[Patches], None]:
        name = put_on.__name__.replace("_", "-")
        MUTANTS[name] = Mutant(
            name, breaks, matters, within, trouble or {}, kinds, peers, put_on, live
        )
        return put_on

    return register
