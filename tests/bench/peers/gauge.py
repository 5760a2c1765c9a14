"""What the ends of a dilated wormhole share, theirs and ours: how they run and are measured."""

import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

LONGEST = 300
"""Seconds after which an end gives up."""
LINGER = 0.5
"""Seconds for which an end that is ready stays, so that the other hears of it."""


def memory(name="VmRSS"):
    """Resident memory of this process in MB; `VmHWM` is the most that it ever was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(name)


class Gauge:
    """What this process uses while many bytes move, and how late its reactor is meanwhile.

    Its own share of that is at most what the reactor's thread has computed meanwhile: the rest is
    waiting, for a disk, or because others have the processors.
    """

    EVERY = 0.005

    def __init__(self):
        self._late, self._own = [], [0.0]
        self._begun = None

    def begin(self):
        """The bytes move from now on."""
        self._begun = time.monotonic(), time.process_time(), memory()
        self._again()

    def end(self, size):
        """So many bytes have moved: the figures."""
        seconds = time.monotonic() - self._begun[0]
        used = time.process_time() - self._begun[1]
        late = sorted(self._late) or [0.0]
        most = memory("VmHWM")
        return {
            "cpu": used * 1e9 / size,
            "rate": size / 1e6 / seconds,
            "memory": most,
            "grown": most - self._begun[2],
            "late": late[-1] * 1000,
            "late, own": max(self._own) * 1000,
            "late, p99": late[len(late) * 99 // 100] * 1000,
        }

    def _again(self):
        reactor.callLater(self.EVERY, self._look, time.monotonic() + self.EVERY, time.thread_time())

    def _look(self, due, used):
        late = time.monotonic() - due
        self._late.append(late)
        self._own.append(min(late, time.thread_time() - used))
        self._again()


def run(story):
    """Run the reactor until what `story` returns has fired with figures, and return these."""
    figures, failures = {}, []

    def give_up():
        failures.append(TimeoutError(f"nothing in {LONGEST} s"))
        reactor.stop()

    def begin():
        reactor.callLater(LONGEST, give_up)
        done = story()
        done.addCallback(figures.update)
        done.addCallback(lambda _: deferLater(reactor, LINGER, reactor.stop))
        done.addErrback(lambda failure: failures.append(failure.value) or reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failures:
        raise failure
    return figures
