"""Asking whether a public key may be added to `authorized_keys`, and adding it.

These are the tasks of `holdfast.flows.shipped.ssh`. They need the person at the terminal, and the
home directory on this machine; so only `holdfast ssh invite` registers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import define

from holdfast.cli import say
from holdfast.cli.question import THINKING, Question, somebody_is_there
from holdfast.cli.verifying import understood
from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused
from holdfast.transfer.public_keys import PublicKey, read_public_key

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from holdfast.flows.tasks import Call
    from holdfast.operating.authorized_keys import Account

NOBODY: Final = (
    "nobody can be asked here whether to add the key; nothing is lost: the same command with --yes"
    " adds it"
)


@define(eq=False)
class Authorizing:
    """Who is asked, and whose file it is.

    Args:
        account: whose.
        yes: add the key without asking.
        question: how a person is asked.
    """

    account: Account
    yes: bool
    question: Question

    def register(self) -> None:
        """Register the tasks. A process that ends before there is an answer leaves it undone."""
        from holdfast.flows.tasks import task

        task("ask-key", tries=1_000_000, timeout=THINKING)(self.ask)
        task("authorize-key", tries=3, blocks=True)(self.authorize)

    def ask(self, call: Call) -> Deferred[bool]:
        """Show the key, and return the answer when there is one."""
        from twisted.internet.defer import Deferred, succeed

        for line in described(read_public_key(call.arguments["line"])):
            say.err(line)
        if self.yes:
            return succeed(self.yes)
        if not somebody_is_there():
            self.question.unanswered = NOBODY
            return Deferred()
        where = printable(str(self.account.path), 300)
        return self.question.ask(call.reactor, f"Add it to {where}? [y/N] ", understood)

    def authorize(self, call: Call) -> dict[str, Any]:
        """Add the key, and say so. Blocks."""
        from holdfast.flows.tasks import TaskFailed
        from holdfast.operating.authorized_keys import add

        key = read_public_key(call.arguments["line"])
        try:
            added = add(self.account, key)
        except Refused as refused:
            raise TaskFailed(refused.words) from None
        where = printable(str(self.account.path), 300)
        say.err(f"{'added to' if added else 'already in'} {where}: {in_a_line(key)}")
        return {"added": added}


def described(key: PublicKey) -> list[str]:
    """Return lines that say what key was offered."""
    return [
        "The other side sends a public key; whoever has its private half can then log in here:",
        f"  type         {key.kind}",
        f"  fingerprint  {key.fingerprint}",
        f"  comment      {printable(key.comment, 200) or '(none)'}",
    ]


def in_a_line(key: PublicKey) -> str:
    """Name a key in one line."""
    return f"{key.kind} {key.fingerprint} {printable(key.comment, 200)}".rstrip()
