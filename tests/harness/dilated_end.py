"""Run as a program: our end of a dilated wormhole, which kills itself when it is told to.

    dilated_end.py --log FILE --kill-at save:after:7 '{"relay": ..., "code": ..., "end": "a", ...}'

It talks the streams (see `streams`) with whoever has the code, and keeps the wormhole, and what
became of the streams, in the file `end.json`: started again, it goes on. It takes the same values
as `dilated_peer`, and `seconds`: how long it waits for a peer that is gone. At the end it prints
`{"closed": ..., "talks": {...}}`. The moments are in `moments` and `dilations`.
"""

import json
import random
import sys
from pathlib import Path

import dilations
import streams
import victim
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher

import holdfast
from holdfast.dilation.manager import Manager


class Ours(streams.Talk):
    """A talk that goes on in another process, and sends plans if the stream is not live."""

    says_lost = True

    def __init__(self, address, *args):
        super().__init__(*args)
        if address.resumed and address.state is not None:
            self.sent, self.received = address.state
        if self.received != address.received:
            self._fail(f"it has {self.received} records, the wormhole {address.received}")

    def save_state(self):
        return [self.sent, self.received]

    def make_record(self, plan, index):
        return self.stream.record(self.end, plan + index)

    def pace(self):
        # So that no life gives the same numbers to the same records as the one before, and all the
        # time something has been written and is not durable.
        return random.randint(1, 3), random.uniform(0, 0.02)

    def write_some(self):
        if self.stream.live:
            super().write_some()
            return
        few = min(random.randint(1, 3), self.stream.count(self.end) - self.sent)
        self.transport.write_plan(self.sent, few)
        self.sent += few


class OurHalf(Ours, streams.HalfTalk):
    """The same with two directions that end one by one."""


class End:
    """The application: its data and its wormhole are in one file."""

    def __init__(self, asked, fate):
        self._fate = fate
        self._asked = asked
        self._path = Path("end.json")
        self._streams = {each["name"]: streams.Stream(**each) for each in asked["streams"]}
        self._journal = holdfast.Journal(self._save)
        self._wormhole = None
        self._data = {"talks": {}, "closed": None}

    def begin(self):
        if self._path.exists():
            saved = json.loads(self._path.read_text())
            self._data = saved["data"]
            if self._data["closed"] is not None:
                self._tell()
                return
            self._wormhole = holdfast.from_serialized(
                saved["wormhole"], reactor, delegate=self, journal=self._journal
            )
            self._close_if_over()
            return
        wormhole = holdfast.create(
            streams.APPID, self._asked["relay"], reactor, delegate=self, journal=self._journal
        )
        with self._journal.process():
            wormhole.set_code(self._asked["code"])
            wormhole.dilate(
                self._asked.get("transit"),
                no_listen=self._asked.get("no_listen", False),
                ping_interval=self._asked.get("ping"),
                peer_timeout=self._asked.get("seconds"),
            )
            self._wormhole = wormhole

    def _save(self):
        if self._wormhole is None:
            return  # it is just being loaded
        self._fate.come_to("save", "before")
        record = {"data": self._data, "wormhole": self._wormhole.serialize()}
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(record))
        self._fate.come_to("save", "during")
        new.replace(self._path)
        self._fate.come_to("save", "after")

    def wormhole_dilated(self, dilated):
        for name, stream in self._streams.items():
            if name in self._data["talks"]:
                continue
            factory = OurFactory(stream, self._asked["end"], self._ended)
            if stream.opener != self._asked["end"]:
                dilated.listener_for(name).listen(factory)
            elif not dilated.connector_for(name).resume(factory):
                dilated.connector_for(name).connect(factory)

    def wormhole_cannot_dilate(self, error):
        self._data["cannot"] = type(error).__name__
        self._wormhole.close()

    def wormhole_closed(self, result):
        self._data["closed"] = str(result)
        self._journal.queue_outbound(self._tell)

    def _ended(self, talk):
        self._data["talks"][talk.stream.name] = talk.outcome
        if self._wormhole is not None:
            self._close_if_over()

    def _close_if_over(self):
        if len(self._data["talks"]) == len(self._streams):
            self._wormhole.close()

    def _tell(self):
        print(json.dumps(self._data), flush=True)
        reactor.stop()


class OurFactory(Factory):
    noisy = False

    def __init__(self, stream, end, ended):
        self._about = (stream, end, reactor, ended)

    def buildProtocol(self, addr):
        kind = OurHalf if self._about[0].half else Ours
        return kind(addr, *self._about)


def choose_side(side):
    """Let our name in `please` be this one."""
    begin = Manager.begin
    Manager.begin = staticmethod(lambda _: begin(side))


def observe(event):
    failure = event.get("log_failure")
    if failure is not None:
        sys.stderr.write(failure.getTraceback())


def main():
    fate, [spec] = victim.fate_and_arguments()
    asked = json.loads(spec)
    if asked.get("side") is not None:
        choose_side(asked["side"])
    dilations.install(fate)
    globalLogPublisher.addObserver(observe)
    reactor.callWhenRunning(End(asked, fate).begin)
    reactor.run()


if __name__ == "__main__":
    main()
