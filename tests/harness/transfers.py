"""The moments of a transfer; see `moments`. Imported by the program that dies, not by tests.

Here a disk is full while there is a file of this name in the command's directory, and a transfer
becomes durable in small steps, each of which is in the journal before the next byte is written: so
where it goes on is known.
"""

import errno
import os
import threading
from pathlib import Path

FULL = "the disk is full"
STEP = 100_000


def install(fate, around):
    """Put `fate` around the steps of transfers."""
    import holdfast.transfer.landing
    import holdfast.transfer.pumping
    import holdfast.transfer.storing
    import holdfast.transit.bulk
    from holdfast.flows.shipped.pauses import Pauses

    pumping, landing = holdfast.transfer.pumping, holdfast.transfer.landing
    storing = holdfast.transfer.storing
    storing.DURABLE_BYTES, storing.FULL_EVERY = STEP, 0.1
    around(fate, pumping, "send_all", lambda *_, offset=0, **__: f"send-from-{offset}")
    around(fate, pumping, "receive_all", lambda *_, offset=0, **__: f"receive-from-{offset}")
    around(fate, holdfast.transit.bulk.Bulk, "send_room", lambda *_, **__: "record")
    around(fate, landing.Landing, "write", lambda *_: "write")
    around(fate, landing.Landing, "_place", lambda *_, **__: "place")
    around(fate, landing.Landing, "sync", lambda *_: "sync")
    _when_the_disk_is_full()
    _one_after_the_other(storing.Store)
    # Seconds are for people and networks.
    pause = Pauses.next
    Pauses.next = lambda self: pause(self) / 8


def _when_the_disk_is_full():
    """Whatever makes a file larger fails then."""
    full = Path(FULL).absolute()

    def failing(function):
        def called(*args, **kwargs):
            if full.exists():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **kwargs)

        return called

    os.pwritev = failing(os.pwritev)


def _one_after_the_other(store):
    """A thread goes on only when the journal knows what it has made durable."""
    from holdfast.flows.engine.beside import _Session

    known, changed = set(), threading.Condition()
    report, sync = _Session.report, store.sync

    def reporting(self, what, value):
        reported = report(self, what, value)
        if what == "moved":
            reported.addCallback(lambda _: note(value))
        return reported

    def note(offset):
        with changed:
            known.add(offset)
            changed.notify_all()

    def syncing(self):
        before = self._durable
        sync(self)
        if self._durable != before:
            with changed:
                while self._durable not in known and not self._watcher.stop.is_set():
                    changed.wait(0.05)

    _Session.report, store.sync = reporting, syncing
