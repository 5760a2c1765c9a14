"""One `holdfast send`: its flows, started or found again, for one person or for several."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.cli import say
from holdfast.operating.collecting import receive_command
from holdfast.operating.kept import Kept
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.cli.parcels import Parcel
    from holdfast.cli.pictures import Pictures
    from holdfast.flows.hooks import Hooks
    from holdfast.operating.one_flow import Route
    from holdfast.operating.service import Service
    from holdfast_journal import FlowRow

BATCH: Final = "send"
"""The batch of everything that is sent by hand."""

Farewell = Callable[[], None]
"""Says how it ended, or raises Unfinished or Interrupted."""


@frozen
class Errand:
    """A parcel, and how it travels.

    Args:
        service: runs its flows.
        parcel: what is sent.
        marks: for whom, and otherwise what makes it another than the same parcel's.
        route: where the two sides meet.
        deadline: in seconds since the epoch.
        hooks: who is told what.
        again: whether to send it to those who have it.
        seconds: for how long to run at most.
        notice: what to say of new codes, or None.
        pictures: shows codes as pictures, if that was asked for.
    """

    service: Service
    parcel: Parcel
    marks: tuple[str, ...] = field(repr=False)
    route: Route
    deadline: float | None
    hooks: Hooks
    again: bool
    seconds: float | None
    notice: str | None
    pictures: Pictures | None

    @property
    def kept(self) -> Kept:
        """What its flows keep of this command."""
        return Kept(self.route.relay, self.route.appid, None)

    def to_one(self) -> Farewell | None:
        """Send it to one person; return None if they have it already."""
        from holdfast.cli.one_flow import finish
        from holdfast.cli.question import Question
        from holdfast.cli.sending import SendWatcher
        from holdfast.cli.transfers import Transfer
        from holdfast.cli.verifying import Verifying

        fingerprint = self._fingerprint()
        before = self._before(fingerprint)
        if before is not None and self._has_it(before):
            _already(self.parcel, before)
            return None
        question = Question()
        transfer = Transfer("sender", quiet=lambda: question.is_open)
        if before is not None and before.finished_at is None:
            _goes_on(self.parcel, before)
            transfer.continues(before)
        elif self.notice is not None:
            say.tell(self.notice)
        name = self._begin(fingerprint)
        Verifying(transfer.status, question).register()
        shown = None if self.parcel.is_text else transfer
        other_end = partial(receive_command, relay=self.route.relay, appid=self.route.appid)
        watcher = SendWatcher(name, question, shown, other_end, self.pictures)
        try:
            ending = self.service.run(
                watcher.watch, batch=BATCH, names={name}, seconds=self.seconds
            )
        finally:
            watcher.end()
            question.leave()

        def farewell() -> None:
            finish(watcher.row, ending)
            say.err("sent: the recipient has it")

        return farewell

    def to_many(self, people: int) -> Farewell | None:
        """Send it to several people, as `to_one` does."""
        from holdfast.cli.many import Many

        marks = [self._fingerprint(f"{number} of {people}") for number in range(1, people + 1)]
        flows: dict[str, int] = {}
        goes_on = 0
        for number, fingerprint in enumerate(marks, start=1):
            before = self._before(fingerprint)
            if before is not None and self._has_it(before):
                say.err(f"{number}: has it")
                continue
            goes_on += before is not None and before.finished_at is None
            flows[self._begin(fingerprint)] = number
        if not flows:
            say.err(f"holdfast: all {people} have {self.parcel.called}; --again sends it once more")
            return None
        if goes_on:
            say.err(f"holdfast: continuing with the codes of {goes_on} of {people}")
        if self.notice is not None and goes_on < len(flows):
            say.tell(self.notice)
        many = Many(flows, people, self.kept, self.pictures)
        many.begin()
        try:
            ending = self.service.run(
                many.watch, batch=BATCH, names=set(flows), seconds=self.seconds
            )
        finally:
            many.status.clear()
        return lambda: many.finish(ending)

    def _fingerprint(self, *marks: str) -> str:
        return self.service.journal.fingerprint(*self.parcel.marks, *self.marks, *marks)

    def _before(self, fingerprint: str) -> FlowRow | None:
        """Return the last flow that the same command has started, for the same person."""
        from holdfast.operating.one_flow import rows_of

        rows = rows_of(self.service.journal, BATCH, fingerprint)
        return rows[-1] if rows else None

    def _has_it(self, before: FlowRow) -> bool:
        return before.status == FlowStatus.DONE and not self.again

    def _begin(self, fingerprint: str) -> str:
        """Return the name of the flow, started now if need be."""
        from holdfast.operating.audit import operator
        from holdfast.operating.one_flow import start_or_resume

        name = start_or_resume(
            self.service.journal,
            BATCH,
            self.parcel.flow(fingerprint),
            fingerprint,
            operator(),
            self.route,
            deadline=self.deadline,
            hooks=self.hooks,
        )
        self.parcel.begun(fingerprint)
        return name


def _already(parcel: Parcel, row: FlowRow) -> None:
    from holdfast.cli.brief import timestamp

    when = "" if row.finished_at is None else f" at {timestamp(row.finished_at)}"
    say.err(f"holdfast: {parcel.called} was collected{when}; --again sends it once more")


def _goes_on(parcel: Parcel, row: FlowRow) -> None:
    from holdfast.cli.brief import timestamp

    say.err(
        f"holdfast: continuing with the code of {parcel.called}, started at"
        f" {timestamp(row.created_at)}; for another person, --to WHO makes another code"
    )
