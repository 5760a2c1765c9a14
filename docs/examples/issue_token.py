"""A token for each user, created when they have connected and proved their code."""

import secrets
import sqlite3

from attrs import field

from holdfast import Flow, flow, task


@flow("issue-token", appid="example.com/issue-token")
class IssueToken(Flow):
    user: str
    sent: bool = field(default=False, init=False)

    def started(self):
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code):
        self.publish(code=code)

    def wormhole_got_versions(self, versions):
        self.perform("mint-token", user=self.user)

    def mint_token_done(self, token):
        self.sent = True
        self.wormhole.send_message(token.encode())

    def wormhole_got_message(self, message):
        if message == b"ok" and self.sent:
            self.finish()


@task("mint-token", tries=5, blocks=True)
def mint_token(call):
    """Stand in for the service that creates tokens: the same key gets the same token."""
    with sqlite3.connect("tokens.db", timeout=30) as tokens:
        tokens.execute("CREATE TABLE IF NOT EXISTS tokens (key PRIMARY KEY, user, token)")
        new = (call.key, call.arguments["user"], secrets.token_urlsafe())
        tokens.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?)", new)
        return tokens.execute("SELECT token FROM tokens WHERE key = ?", (call.key,)).fetchone()[0]
