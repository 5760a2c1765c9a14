"""What a wormhole needs of a journal: any object with these methods is one.

`IJournal` is the interface of the seed's journal chapter: enter `process()` around each event,
and pass to `queue_outbound()` what must not happen before that event is durable. `History` is for a
journal that also keeps a readable record of what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

Call = Callable[[], object]
"""An outbound action with its arguments bound."""


class IJournal(Protocol):
    """Holds back what leaves this process until the event that caused it is durable."""

    def process(self) -> AbstractContextManager[None]:
        """Surround the handling of one event; a block inside another joins the outer one.

        An exception that leaves the outermost block drops what was queued inside.
        """
        ...

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `fn(*args, **kwargs)` once the surrounding event is durable, in the order queued.

        Outside any block this is a block of its own.
        """
        ...


class History(Protocol):
    """A journal that keeps what happened, and not only the resulting state."""

    def record(self, kind: str, *, heard: str, said: Sequence[str], event: bytes) -> None:
        """Add one entry to the surrounding `process()` block.

        `kind` is a short word ("message"). `heard` and each of `said` are for people: what came
        in and what goes out, never a secret. `event` is what a machine would need to replay it; it
        is sealed if the journal can seal.
        """
        ...


Published: TypeAlias = Mapping[str, str | int | float | None]
"""What a flow shows to its operators, such as its code. It is still sealed at rest."""
