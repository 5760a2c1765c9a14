"""`Journal`: bring your own storage.

    journal = Journal(save_checkpoint)

At the end of each event `save_checkpoint()` is called, and must return only when everything that
the application wants to find again (its own data and `wormhole.serialize()`) is safe. Only then do
the outbound calls run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from attrs import define, field

from holdfast_journal.interface import Call, IJournal
from holdfast_journal.outbound import Outbox


@define
class Journal:
    """A journal that saves everything, synchronously, at the end of each event.

    An exception inside `process()` or in `save_checkpoint()` drops the queued calls and
    propagates. The journal stays usable; the objects that were half-way through an event do not,
    and are to be loaded again from the last checkpoint.
    """

    save_checkpoint: Callable[[], object]
    _depth: int = field(default=0, init=False)
    _queued: list[Call] = field(factory=list, init=False)
    _outbox: Outbox = field(factory=Outbox, init=False)

    @contextmanager
    def process(self) -> Iterator[None]:
        """Surround the handling of one event; see `IJournal.process`."""
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self.save_checkpoint()
        except BaseException:
            if self._depth == 1:
                self._queued.clear()
            raise
        finally:
            self._depth -= 1
        if self._depth == 0:
            calls, self._queued = self._queued, []
            self._outbox.run(calls)

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `fn` after the checkpoint is saved; see `IJournal.queue_outbound`."""
        with self.process():
            self._queued.append(partial(fn, *args, **kwargs))


def _is_a_journal(journal: Journal) -> IJournal:
    return journal
