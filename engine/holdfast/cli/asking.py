"""Asking the person at this end whether they want a file or folder that is offered.

This is the task "ask" of `holdfast.flows.shipped.receive`. Only the receiving command has the
terminal, so only it registers the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import define

from holdfast.cli.question import THINKING, Question, somebody_is_there
from holdfast.cli.status_line import StatusLine
from holdfast.transfer.landing import in_units
from holdfast.transfer.names import shown

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from holdfast.flows.tasks import Call

Answer: TypeAlias = Literal["yes", "no", "overwrite"]

NOBODY: Final = (
    "nobody can be asked here whether to accept it; nothing is lost: the same command with"
    " --accept takes it"
)


@define(eq=False)
class Asking:
    """Whoever is asked, and what became of it.

    Args:
        accept: take everything without asking.
        status: the line that must not be in the way.
        question: how a person is asked.
    """

    accept: bool
    status: StatusLine
    question: Question

    def register(self) -> None:
        """Register the task. A process that ends before there is an answer leaves it undone."""
        from holdfast.flows.tasks import task

        task("ask", tries=1_000_000, timeout=THINKING)(self.ask)

    def ask(self, call: Call) -> Deferred[dict[str, Any]]:
        """Show what is offered, and return the answer when there is one."""
        from twisted.internet.defer import Deferred, succeed

        offer, target = call.arguments["offer"], call.arguments["target"]
        for line in described(offer, target):
            self.status.print(line)
        if self.accept:
            return succeed(answered("yes", target))
        if not somebody_is_there():
            self.question.unanswered = NOBODY
            return Deferred()
        can_overwrite = replaceable(offer, target)
        more = ", or 'overwrite' to replace the one that exists" if can_overwrite else ""
        answer: Deferred[Answer] = self.question.ask(
            call.reactor,
            f"Accept it? [y/N{more}] ",
            partial(understood, can_overwrite=can_overwrite),
        )
        return answer.addCallback(answered, target)


def answered(answer: Answer, target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task's result."""
    overwrite = answer == "overwrite"
    name = target["name"] if overwrite else target["free"]
    return {"accept": answer != "no", "name": name, "overwrite": overwrite}


def described(offer: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """Return lines that say what is offered and where it would be."""
    files = "" if offer["kind"] == "file" else f" in {_counted(offer['files'])}"
    place = shown(str(Path(target["directory"], target["free"])))
    if target["free"] != target["name"]:
        place += f" ({shown(target['name'])} exists)"
    lines = [
        f"The sender offers a {offer['kind']}:",
        f"  name    {shown(offer['name'])}",
        f"  size    {sized(offer['total'])}{files}",
        f"  place   {place}",
    ]
    if offer["sha256"]:
        lines.insert(3, f"  sha256  {offer['sha256']}")
    return lines


def sized(size: int) -> str:
    """Return a size as people say it, and exactly."""
    return f"{size} bytes" if size < 1000 else f"{in_units(size)} ({size:,} bytes)"


def replaceable(offer: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    """Whether what has the name already may be replaced: a file by a file."""
    there = Path(target["directory"], target["name"])
    taken = target["free"] != target["name"]
    return taken and offer["kind"] == "file" and there.is_file() and not there.is_symlink()


def understood(line: str, *, can_overwrite: bool) -> Answer | None:
    """Return what a line means as an answer, or None."""
    match line.strip().lower():
        case "" | "n" | "no":
            return "no"
        case "y" | "yes":
            return "yes"
        case "overwrite" if can_overwrite:
            return "overwrite"
    return None


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files:,} files"
