"""The naive way to do the main job, for `main_job.py`: the stock library and nothing else.

    wormhole_main_job.py PEOPLE CODES URL

Gives each person in a CSV file their secret, as `wormhole send --text` would, and writes the codes
to another as they come.  Keeps no journal: if it dies, all the codes die with it.
"""

import csv
import json
import sys
from pathlib import Path

import wormhole
from twisted.internet import reactor
from twisted.internet.defer import DeferredSemaphore, gatherResults, inlineCallbacks

APPID = "lothar.com/wormhole/text-or-file-xfer"
AT_ONCE = 64
"""Codes that are asked for at a time; Holdfast opens so many connections at once."""


class Naive:
    def __init__(self, codes, url):
        self._file, self._url = codes, url
        self._rows = csv.writer(codes)
        self._rows.writerow(("name", "code"))
        self._places = DeferredSemaphore(AT_ONCE)

    @inlineCallbacks
    def _start(self, name):
        w = wormhole.create(APPID, self._url, reactor)
        w.allocate_code(2)
        code = yield w.get_code()
        self._rows.writerow((name, code))
        self._file.flush()
        return w

    @inlineCallbacks
    def give(self, name, secret):
        w = yield self._places.run(self._start, name)
        w.send_message(json.dumps({"offer": {"message": secret}}).encode())
        answer = json.loads((yield w.get_message()))
        assert answer == {"answer": {"message_ack": "ok"}}, answer
        yield w.close()


def main(people, codes, url):
    failures = []

    def begin():
        with Path(people).open(newline="") as stream:
            rows = [(row["name"], row["secret"]) for row in csv.DictReader(stream)]
        naive = Naive(Path(codes).open("w", newline=""), url)  # noqa: SIM115 - to the very end
        done = gatherResults([naive.give(*row) for row in rows], consumeErrors=True)
        done.addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if failures:
        failures[0].raiseException()


main(*sys.argv[1:])
