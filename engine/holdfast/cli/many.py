"""`holdfast send --to 5`: one thing, for several people, each under a code of their own."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, field

from holdfast.cli import say
from holdfast.cli.failure import Failure, Interrupted, Unfinished
from holdfast.cli.flow_news import status_and_reason
from holdfast.cli.guessing import Guessing
from holdfast.cli.status_line import StatusLine
from holdfast.cli.transfers import route_in_words
from holdfast.operating.collecting import special_command
from holdfast.operating.ending import Ending
from holdfast.operating.printable import printable
from holdfast.operating.standing import live_code
from holdfast.transfer.landing import in_units
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.cli.pictures import Pictures
    from holdfast.operating.kept import Kept
    from holdfast_journal import FlowRow

MOST: Final = 100
"""People of one `send`; for more there is `provision`."""

_NUMBER: Final = re.compile(r"[0-9]+")


def people_in(to: str | None) -> int:
    """Return for how many people `--to` asks: 1 if it says who that is.

    Raises:
        Failure: there are none, or too many.
    """
    if to is None or not _NUMBER.fullmatch(to.strip()):
        return 1
    number = int(to) if len(to) < len(str(sys.maxsize)) else sys.maxsize
    if not 1 <= number <= MOST:
        raise Failure(f"--to: 1 to {MOST} people; 'holdfast provision' is for more")
    return number


@define(eq=False)
class Many:
    """Says what becomes of each, and how far all are in a line that changes.

    Args:
        flows: the names of the flows that are not over, with the numbers of their people.
        people: how many there are.
        kept: what the flows keep of their command.
        pictures: shows codes as pictures, if that was asked for.
    """

    flows: Mapping[str, int]
    people: int
    _kept: Kept
    _pictures: Pictures | None = None
    status: StatusLine = field(factory=StatusLine)
    _rows: dict[str, FlowRow] = field(factory=dict, init=False)
    _shown: dict[str, object] = field(factory=dict, init=False)
    """The codes that were shown."""
    _guessing: Guessing = field(factory=Guessing, init=False)

    def begin(self) -> None:
        """Say how the others collect."""
        command = special_command(self._kept.relay, self._kept.appid)
        say.err(f"each of them collects with: {command or 'wormhole receive CODE'}")

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        """Hear which flows have moved; return whether all are over."""
        for row in moved:
            if row.name in self.flows:
                before = self._rows.get(row.name)
                self._rows[row.name] = row
                self._tell(before, row)
        if self.status.terminal:
            self.status.show(self._now())
        return all(
            name in self._rows and self._rows[name].finished_at is not None for name in self.flows
        )

    def finish(self, ending: Ending) -> None:
        """Return if all have it.

        Raises:
            Interrupted, Unfinished: not all.
        """
        self.status.clear()
        open_ = [row for row in self._seen if row is None or row.finished_at is None]
        bad = [row for row in self._seen if row is not None and row not in open_ and not _well(row)]
        if ending is Ending.SIGNAL:
            raise Interrupted("stopped; nothing is lost: start the same command again to continue")
        if open_:
            raise Unfinished(
                f"the time is over, and {len(open_)} of {self.people} do not have it; start the"
                " same command again to continue"
            )
        if bad:
            raise Unfinished(
                f"{len(bad)} of {self.people} do not have it; start again for new codes"
            )
        say.err(f"sent: all {self.people} have it")

    @property
    def _seen(self) -> list[FlowRow | None]:
        return [self._rows.get(name) for name in self.flows]

    def _tell(self, before: FlowRow | None, row: FlowRow) -> None:
        number, code = self.flows[row.name], live_code(row)
        if (news := self._guessing.news(row, first=before is None)) is not None:
            self.status.print(f"{number}: {news}")
        if code is not None and self._shown.get(row.name) != code:
            self._shown[row.name] = code
            self.status.clear()
            say.out(f"{number}\t{code}")
            if self._pictures is not None:
                say.out(self._pictures.of(row.name, code))
        if row.finished_at is not None:
            if before is None or before.finished_at is None:
                words = "has it" if _well(row) else status_and_reason(row)
                self.status.print(f"{number}: {words}")
            return
        earlier = {} if before is None else before.published or {}
        for key in ("route", "waiting"):
            said = (row.published or {}).get(key)
            if said and said != earlier.get(key):
                told = route_in_words(str(said)) if key == "route" else printable(str(said), 300)
                what = "connected" if key == "route" else "waits:"
                self.status.print(f"{number}: {what} {told}")

    def _now(self) -> str:
        """Return how far each is that moves, as much of it as fits."""
        have = self.people - len(self.flows)
        moving, rate = [], 0
        for name, number in self.flows.items():
            row = self._rows.get(name)
            if row is not None and row.finished_at is not None:
                have += _well(row)
            elif row is not None and (size := _number(row, "size")) and _number(row, "moved"):
                moving.append(f"{number}: {100 * _number(row, 'moved') // size} %")
                rate += _number(row, "rate")
        speed = [f"{in_units(rate)}/s"] if rate else []
        return "  ".join([f"{have} of {self.people} have it", *speed, *moving])


def _well(row: FlowRow) -> bool:
    return row.status == FlowStatus.DONE


def _number(row: FlowRow, key: str) -> int:
    value = (row.published or {}).get(key)
    return value if isinstance(value, int) else 0
