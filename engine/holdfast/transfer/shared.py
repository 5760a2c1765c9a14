"""One measurement for all who are sent the same: thousands may get one content.

What is measured is known by its stamp, which a file that changes gets anew. But two changes within
one tick of a file system's clock have one stamp, so what has just changed is measured each time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

from attrs import define, evolve, field

from holdfast.transfer.sources import Source, measure, name_of, stamp_of

MOST: Final = 64
"""Measurements that are kept; one of a folder may have 100 kB of checksums."""

SETTLED: Final = 2.0
"""Seconds after its last change from which on something is known by its stamp: the coarsest clock
of a file system that is still in use."""

_Key: TypeAlias = tuple[tuple[str, ...], str]


@define(eq=False)
class Measurements:
    """The last measurements; for any number of threads.

    Args:
        measure: makes one; see `holdfast.transfer.sources.measure`.
        now: seconds since the epoch.
    """

    _measure: Callable[[Sequence[Path]], Source] = measure
    _now: Callable[[], float] = time.time
    _kept: OrderedDict[_Key, Source] = field(factory=OrderedDict, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _turns: tuple[Lock, ...] = field(factory=lambda: tuple(Lock() for _ in range(16)), init=False)
    """Whoever wants the same has the same of these locks, and waits for the first one."""

    def measure(self, paths: Sequence[Path], name: str | None = None) -> Source:
        """Return what `holdfast.transfer.sources.measure` does, and raise what it raises."""
        places = tuple(str(path.absolute()) for path in paths)
        with self._turns[hash(places) % len(self._turns)]:
            stamp, changed_at = stamp_of(paths)
            key, settled = (places, stamp), changed_at + SETTLED <= self._now()
            with self._lock:
                known = self._kept.get(key)
                if known is not None:
                    self._kept.move_to_end(key)
                    return evolve(known, name=name_of(paths, name))
            source = self._measure(paths)
            if settled and source.stamp == stamp:
                self._keep(key, source)
            return evolve(source, name=name_of(paths, name))

    def _keep(self, key: _Key, source: Source) -> None:
        with self._lock:
            self._kept[key] = source
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
