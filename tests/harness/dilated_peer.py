"""Run as a program: stock peers that dilate, until stdin ends.

    dilated_peer.py --relay-url ws://...

Reads a line of JSON for each peer, `{"id": ..., "code": ..., "end": "b", "streams": [...]}` with,
if they are wanted, `transit` (its relay), `no_listen`, `ping` (seconds) and `side` (its name in
`please`, instead of a random one). It talks the streams (see `streams`) with whoever has the code.
Lines of JSON tell of it, each with its `id`:

- `{"way": ...}`: it is connected, and how
- `{"talks": {NAME: {"sent": ..., "received": ..., "wrong": null}, ...}}`: all streams have ended
- `{"closed": ...}`: so has the wormhole, after the line `{"id": ..., "close": true}`

and `{"error": TEXT}` of what the log was told of.
"""

import argparse
import json
import sys

import streams
import wormhole
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.stdio import StandardIO
from twisted.logger import globalLogPublisher
from twisted.protocols.basic import LineOnlyReceiver
from wormhole._dilation import manager


class Peer:
    """One stock peer."""

    def __init__(self, relay_url, asked, say):
        self._say = say
        self._end = asked["end"]
        self._left = {each["name"]: streams.Stream(**each) for each in asked["streams"]}
        self._talks = {}
        self._way = None
        self._wormhole = wormhole.create(streams.APPID, relay_url, reactor, dilation=True)
        self._wormhole.set_code(asked["code"])
        usual = manager.make_side
        if asked.get("side") is not None:
            manager.make_side = lambda: asked["side"]
        dilated = self._wormhole.dilate(
            asked.get("transit"),
            no_listen=asked.get("no_listen", False),
            on_status_update=self._status,
            ping_interval=asked.get("ping"),
        )
        manager.make_side = usual
        for stream in tuple(self._left.values()):
            if stream.opener == self._end:
                dilated.connector_for(stream.name).connect(self._factory(stream))
            else:
                dilated.listener_for(stream.name).listen(self._factory(stream))

    def close(self):
        done = self._wormhole.close()
        done.addBoth(lambda result: self._say(closed=str(getattr(result, "value", result))))

    def _factory(self, stream):
        def build():
            return streams.kind_of_talk(stream)(stream, self._end, reactor, self._ended)

        return Factory.forProtocol(build)

    def _ended(self, talk):
        self._talks[talk.stream.name] = talk.outcome
        del self._left[talk.stream.name]
        if not self._left:
            self._say(talks=self._talks)

    def _status(self, status):
        way = getattr(status.peer_connection, "hint_description", None)
        connection = (status.generation, way)
        if way is not None and connection != self._way:
            self._say(way=way)
        self._way = connection


class Peers(LineOnlyReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 1_000_000

    def __init__(self, relay_url):
        self._relay_url = relay_url
        self._peers = {}

    def lineReceived(self, line):
        asked = json.loads(line)
        name = asked["id"]
        if asked.get("close"):
            self._peers.pop(name).close()
        else:
            self._peers[name] = Peer(
                self._relay_url, asked, lambda **said: self.say(id=name, **said)
            )

    def say(self, **said):
        self.sendLine(json.dumps(said).encode())

    def connectionLost(self, reason):
        if reactor.running:
            reactor.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--relay-url", required=True)
    given = parser.parse_args()
    peers = Peers(given.relay_url)

    def observe(event):
        failure = event.get("log_failure")
        if failure is not None:
            peers.say(error=failure.getTraceback(detail="brief"))
        elif event.get("isError"):
            peers.say(error=str(event.get("why") or event.get("message")))

    StandardIO(peers)
    globalLogPublisher.addObserver(observe)
    # Standard output is for what is told.
    sys.stdout = sys.stderr
    reactor.run()


if __name__ == "__main__":
    main()
