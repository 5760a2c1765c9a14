"""Who writes to subchannels by itself, and takes turns while there is not room for all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final

from attrs import define

MOST_TURNS: Final = 500
"""After so many the reactor does something else."""


@define(eq=False)
class _Registered:
    """A producer.

    Args:
        producer: Twisted's IPushProducer if `streaming`, else IPullProducer.
        waits: whether it stands in line.
    """

    producer: Any
    streaming: bool
    waits: bool = False


class Producers:
    """The producers of all subchannels, which are paused and resumed together.

    A push producer is resumed once, and writes until it is paused. A pull producer is asked for
    each write. Both stand in one line, so that all of them get on.

    Args:
        is_full: whether no more should be written.
        wake: has `turns` called, inside a journal entry.
    """

    def __init__(self, is_full: Callable[[], bool], wake: Callable[[], None]) -> None:
        self._is_full = is_full
        self._wake = wake
        self._all: dict[Hashable, _Registered] = {}
        self._line: deque[Hashable] = deque()
        self._paused = False
        self._woken = False

    def register(self, key: Hashable, producer: Any, *, streaming: bool) -> None:
        """`producer` writes under `key` from now on."""
        each = self._all[key] = _Registered(producer, streaming)
        if self._paused or not streaming:
            self._stand(key, each)
        if self._paused:
            if streaming:
                producer.pauseProducing()
        elif not streaming:
            self._wake_once()

    def unregister(self, key: Hashable) -> None:
        """It writes no more."""
        each = self._all.pop(key, None)
        if each is not None and each.waits:
            self._line.remove(key)

    def wrote(self, key: Hashable) -> None:
        """Something was written under `key`."""
        each = self._all.get(key)
        if each is not None and not each.streaming:
            if not each.waits:
                self._stand(key, each)
            if not self._paused:
                self._wake_once()
        if not self._paused and self._is_full():
            self._pause()

    def relieve(self) -> None:
        """There is room again."""
        if self._paused:
            self._paused = False
            self._wake_once()

    def turns(self) -> None:
        """Let those in line write, one after another, until there is enough."""
        self._woken = True  # until the end, because whoever writes stands in line again at once
        for _ in range(MOST_TURNS):
            if not self._line or self._paused:
                break
            key = self._line.popleft()
            each = self._all[key]
            each.waits = False
            each.producer.resumeProducing()
        self._woken = False
        if self._line and not self._paused:
            self._wake_once()

    def _pause(self) -> None:
        self._paused = True
        for key, each in self._all.items():
            if each.streaming and not each.waits:
                self._stand(key, each)
                each.producer.pauseProducing()

    def _stand(self, key: Hashable, each: _Registered) -> None:
        each.waits = True
        self._line.append(key)

    def _wake_once(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()
