"""Run with: python -m twisted.trial test_issue_token"""

from pathlib import Path

from issue_token import IssueToken
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import holdfast
from holdfast import Engine, SqlJournal, mailbox, new_flow


class IssueTokenTest(TestCase):
    timeout = 60

    async def setUp(self):
        """Have a mailbox server of our own, on a port that the system chooses."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        server = mailbox.service(
            reactor, listen="127.0.0.1:0", database=self.folder / "mailbox.sqlite", keep=3600
        )
        server.startService()
        self.addCleanup(server.stopService)
        self.relay = await server.when_listening()

    def start(self):
        """Begin a life of the service."""
        self.journal = SqlJournal.open(f"sqlite:///{self.folder}/flows.db", reactor=reactor)
        self.engine = Engine(self.journal, reactor, serve=["issue-token"])
        self.engine.start()

    async def stop(self):
        """End it."""
        await self.engine.stop()
        self.journal.close()

    async def until(self, reached):
        """Wait until the flow has come so far; return its row."""
        while True:
            [row] = await deferToThread(self.journal.overview, "tests", "ada")
            if reached(row):
                return row
            await deferLater(reactor, 0.05)

    async def test_a_token_through_a_restart(self):
        """The token arrives, although the service is started anew between code and recipient."""
        self.start()
        new = new_flow("ada", IssueToken(user="ada"), relay=self.relay, appid=IssueToken.appid)
        await deferToThread(self.journal.start_flows, "tests", [new])
        row = await self.until(lambda row: row.published.get("code"))
        await self.stop()

        self.start()
        peer = holdfast.create(IssueToken.appid, self.relay, reactor)
        peer.set_code(row.published["code"])
        token = await peer.get_message()
        self.assertTrue(token)
        peer.send_message(b"ok")
        await peer.close()
        await self.until(lambda row: row.status == "done")
        await self.stop()
