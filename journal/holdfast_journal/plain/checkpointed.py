"""`Journal`: bring your own storage.

    journal = Journal(save_checkpoint)

At the end of each event `save_checkpoint()` is called. It must return only when everything that the
application needs after a restart (its own data and `wormhole.serialize()`) is safe. Only then do
the outbound calls run.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from attrs import define, field

from holdfast_journal.interface import Call, IJournal
from holdfast_journal.plain.outbound import CallQueue


@define
class Journal:
    """A journal that saves everything, synchronously, at the end of each event.

    An exception inside `process()` or in `save_checkpoint()` drops the queued calls and
    propagates. The journal stays usable. Objects that were half-way through an event do not, and
    must be loaded again from the last checkpoint.
    """

    save_checkpoint: Callable[[], object]
    _depth: int = field(default=0, init=False)
    _queued: list[Call] = field(factory=list, init=False)
    _outbox: CallQueue = field(factory=CallQueue, init=False)

    def process(self) -> AbstractContextManager[None]:
        """Surround the handling of one event; see `IJournal.process`."""
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        calls: list[Call] = []
        try:
            if kind is None:
                self.save_checkpoint()
                calls = self._queued
        finally:
            self._queued = []
            self._depth = 0
        self._outbox.run(calls)

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `fn` after the checkpoint is saved; see `IJournal.queue_outbound`."""
        with self.process():
            self._queued.append(partial(fn, *args, **kwargs))


def _is_a_journal(journal: Journal) -> IJournal:
    return journal
