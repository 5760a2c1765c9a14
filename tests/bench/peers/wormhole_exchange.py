"""The peer's side of `exchange.py`: `magic-wormhole` in Deferred mode, the same lines."""

import time

import wormhole
from figures import program
from twisted.internet import reactor
from twisted.internet.defer import DeferredSemaphore, gatherResults, inlineCallbacks

APPID = "example.com/bench"
KILOBYTE = b"\x5a" * 1000


@inlineCallbacks
def talk(create, url, reactor):
    ann, bob = create(APPID, url, reactor), create(APPID, url, reactor)
    ann.allocate_code(2)
    code = yield ann.get_code()
    bob.set_code(code)
    ann.send_message(KILOBYTE)
    bob.send_message(KILOBYTE)
    got = yield gatherResults([ann.get_message(), bob.get_message()])
    assert got == [KILOBYTE, KILOBYTE]
    yield gatherResults([ann.close(), bob.close()])


def measure(url, count, at_once):
    figures, failures = {}, []

    @inlineCallbacks
    def story():
        yield talk(wormhole.create, url, reactor)
        begun, clock = time.process_time(), time.monotonic()
        turns = DeferredSemaphore(at_once)
        yield gatherResults([turns.run(talk, wormhole.create, url, reactor) for _ in range(count)])
        figures["ms"] = (time.process_time() - begun) / count * 1000
        figures["per_second"] = count / (time.monotonic() - clock)

    def begin():
        story().addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if failures:
        failures[0].raiseException()
    return figures


program(measure)
