"""The peer's side of `memory.py`: the same lines, with `magic-wormhole`."""

import gc
from pathlib import Path

import wormhole
from figures import program
from twisted.internet import reactor
from twisted.internet.defer import DeferredSemaphore, gatherResults, inlineCallbacks

APPID = "example.com/bench"


def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private"))


def measure(url, steps):
    kept, seen, failures = [], [], []

    @inlineCallbacks
    def one():
        w = wormhole.create(APPID, url, reactor)
        kept.append(w)
        w.allocate_code(2)
        yield w.get_code()

    @inlineCallbacks
    def story():
        turns = DeferredSemaphore(10)
        for step in steps:
            yield gatherResults([turns.run(one) for _ in range(step - len(kept))])
            gc.collect()
            seen.append((step, private()))

    def begin():
        story().addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if failures:
        failures[0].raiseException()
    (low, first), (high, last) = seen[0], seen[-1]
    return {"kb": (last - first) / (high - low), "seen": seen}


program(measure)
