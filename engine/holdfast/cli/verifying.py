"""The option `--verify`: asking whether the other side sees the same verifier.

This is the task "verify" of `holdfast.flows.shipped.verifying`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from attrs import define

from holdfast.cli.failure import Failure
from holdfast.cli.question import THINKING, Question, somebody_is_there
from holdfast.cli.status_line import StatusLine

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from holdfast.flows.tasks import Call

NOBODY: Final = (
    "--verify: nobody can be asked here, because standard input or standard error is not a terminal"
)


def _checked(_ctx: click.Context, _param: click.Parameter, verify: Any) -> Any:
    if verify and not somebody_is_there():
        raise Failure(NOBODY)
    return verify


verify_option = click.option(
    "--verify",
    is_flag=True,
    callback=_checked,
    help="When the other side has the code, show a verifier, and hand over or take nothing before"
    " you say that they see the same one: nobody is between you then.",
)


@define(eq=False)
class Verifying:
    """Asks whoever is at the terminal to compare.

    Args:
        status: the line that must not be in the way.
        question: how a person is asked.
    """

    status: StatusLine
    question: Question

    def register(self) -> None:
        """Register the task. A process that ends before there is an answer leaves it undone."""
        from holdfast.flows.tasks import task

        task("verify", tries=1_000_000, timeout=THINKING)(self.ask)

    def ask(self, call: Call) -> Deferred[bool]:
        """Show the verifier; return whether the other side has the same, when that is known."""
        self.status.print("Compare this verifier with the one on the other side:")
        self.status.print(f"  {call.arguments['verifier']}")
        return self.question.ask(call.reactor, "Is it the same? [y/N] ", understood)


def understood(line: str) -> bool | None:
    """Return what a line means as an answer, or None."""
    return {"y": True, "yes": True, "": False, "n": False, "no": False}.get(line.strip().lower())
