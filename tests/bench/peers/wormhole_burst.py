"""The peer's side of `burst.py`: the same lines, with `magic-wormhole`."""

import time

import wormhole
from figures import program
from twisted.internet import reactor

APPID = "example.com/bench"


def measure(url, count, quiet):
    begun = [time.monotonic(), time.process_time()]
    last = [begun[0]]
    kept, codes, failed = [], [], []

    def happened(where, what):
        where.append(what)
        last[0] = time.monotonic()

    def start():
        for _ in range(count):
            w = wormhole.create(APPID, url, reactor)
            kept.append(w)
            w.allocate_code(2)
            w.get_code().addCallbacks(
                lambda code: happened(codes, code), lambda why: happened(failed, why)
            )
        look()

    def look():
        if len(codes) + len(failed) == count or time.monotonic() - last[0] > quiet:
            reactor.stop()
        else:
            reactor.callLater(0.1, look)

    reactor.callWhenRunning(start)
    reactor.run()
    return {
        "lost": count - len(set(codes)),
        "failed": len(failed),
        "seconds": last[0] - begun[0],
        "cpu_ms": (time.process_time() - begun[1]) / count * 1000,
    }


program(measure)
