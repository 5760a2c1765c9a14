"""A flow that a user could have written: the one of the design, with data and a task of its own."""

from attrs import field

from holdfast import Flow, TaskFailed, flow, task

APPID = "example.com/issue-token"

CALLS: list[tuple[str, str]] = []
"""(user, idempotency key) of each time that a token was minted."""

TROUBLE: list[Exception] = []
"""What the next calls raise instead."""


@flow("test-issue-token", appid=APPID)
class IssueToken(Flow):
    user: str
    greeting: str = "hello"
    heard: list[str] = field(factory=list, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        self.perform("test-mint", user=self.user)

    def test_mint_done(self, token: str) -> None:
        self.wormhole.send_message(f"{self.greeting} {token}".encode())

    def wormhole_got_message(self, message: bytes) -> None:
        self.heard.append(message.decode())
        if message == b"ok":
            self.wormhole.send_message(f"you said {' '.join(self.heard)}".encode())
            self.wormhole.close()


@task("test-mint", tries=5)
def mint(call) -> str:
    CALLS.append((call.arguments["user"], call.key))
    if TROUBLE:
        raise TROUBLE.pop(0)
    return f"token of {call.arguments['user']}"


__all__ = ["APPID", "CALLS", "TROUBLE", "IssueToken", "TaskFailed"]
