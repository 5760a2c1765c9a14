"""Run as a program: many `wormhole receive CODE` in one process, until stdin ends.

Reads a line of JSON for each, `{"id": ..., "code": ...}`, and answers with one when it ends; with
`"out": PATH` in it, what comes is a file or folder, and belongs there; with `"send": TEXT`, it is
`wormhole send --text TEXT --code CODE` instead:
`{"id": ..., "ok": true, "text": ...}` or `{"id": ..., "ok": false, "error": the error's type,
"detail": its text, "text": ...}`. `text` is what the command printed.
"""

import argparse
import io
import json
import sys

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver
from wormhole.cli import cli, cmd_receive, cmd_send


def settings(relay_url, *words):
    """Return what the stock command line makes of these words, without running it."""
    cli.go = lambda _function, config: config
    words = ["--relay-url", relay_url, "--transit-helper", "", *words]
    return cli.wormhole.main(args=words, prog_name="wormhole", standalone_mode=False)


class Receivers(LineOnlyReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 1_000_000

    def __init__(self, relay_url):
        self._relay_url = relay_url

    def lineReceived(self, line):
        asked = json.loads(line)
        out = ["--accept-file", "--output-file", asked["out"]] if "out" in asked else []
        words, command = ["receive", "--hide-progress", *out, asked["code"]], cmd_receive.receive
        if "send" in asked:
            words = ["send", "--no-qr", "--text", asked["send"], "--code", asked["code"]]
            command = cmd_send.send
        config = settings(self._relay_url, *words)
        config.stdout, config.stderr = io.StringIO(), io.StringIO()

        def answer(**outcome):
            text = config.stdout.getvalue()
            said = {"id": asked["id"], "text": text, "notes": config.stderr.getvalue()}
            self.sendLine(json.dumps(said | outcome).encode())

        done = maybeDeferred(command, config)
        done.addCallbacks(
            lambda _: answer(ok=True),
            lambda failure: answer(
                ok=False, error=failure.type.__name__, detail=failure.getErrorMessage()
            ),
        )

    def connectionLost(self, reason):
        if reactor.running:
            reactor.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--relay-url", required=True)
    given = parser.parse_args()
    StandardIO(Receivers(given.relay_url))
    # Standard output is for answers.
    sys.stdout = sys.stderr
    reactor.run()


if __name__ == "__main__":
    main()
