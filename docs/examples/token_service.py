"""A web service that hands out tokens through wormholes.

POST /ada starts a flow for ada, once; GET /ada shows its status and its code.
"""

import json
import sys

from issue_token import IssueToken
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from holdfast import Engine, SqlJournal, new_flow

RELAY = "ws://127.0.0.1:4000/v1"
BATCH = "tokens"

log = Logger()


class Users(Resource):
    def __init__(self, journal):
        super().__init__()
        self.isLeaf = True
        self.journal = journal

    def render(self, request):
        start = request.method == b"POST"
        user = request.path.decode().strip("/")

        def say(found):
            request.write(json.dumps(found).encode())
            request.finish()

        def fail(failure):
            log.failure("no answer", failure)
            request.setResponseCode(500)
            request.finish()

        # The journal's methods wait for the database, so they are called in a thread.
        deferToThread(self.look, user, start).addCallback(say).addErrback(fail)
        return NOT_DONE_YET

    def look(self, user, start):
        if start:
            new = new_flow(user, IssueToken(user=user), relay=RELAY)
            self.journal.start_flows(BATCH, [new])
        return [
            {"user": row.name, "status": row.status, **(row.published or {})}
            for row in self.journal.overview(BATCH, user)
        ]


def main():
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)])
    journal = SqlJournal.open("flows.db", reactor=reactor)
    engine = Engine(journal, reactor, serve=["issue-token"])

    def failed(failure):
        log.failure("the engine stopped", failure)
        reactor.stop()

    def start():
        engine.start().addErrback(failed)
        endpoint = serverFromString(reactor, "tcp:8080:interface=127.0.0.1")
        endpoint.listen(Site(Users(journal))).addErrback(failed)

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", engine.stop)
    reactor.run()
    journal.close()


if __name__ == "__main__":
    main()
