"""The trace of a flow, made from its journal: a value for a value, without I/O.

A flow's uid is the identifier of its trace, so all workers that ever run the flow work on the same
trace. Each attempt at the flow is a span without a parent, and below it each step of the flow's
story is a span from the step before: how long it took until that happened. The identifiers of spans
follow from the journal too, so that a span that is sent twice is the same span.

A span has no name of a flow, no code and nothing that is sealed: traces are kept by others.
The terms are those of the OpenTelemetry specification, "Trace API".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from holdfast.operating.printable import printable
from holdfast.operating.standing import shown_word, went_badly
from holdfast.operating.story_words import Mood, Step
from holdfast.operating.storyteller import Storyteller

if TYPE_CHECKING:
    from holdfast_journal import EntryRow, FlowRow

_UID: Final = re.compile(r"[0-9a-f]{32}")

_LONGEST: Final = 200
"""Characters of a name or an attribute."""

_LATEST: Final = 9e9
"""Seconds since the epoch: OTLP counts nanoseconds in 64 bits."""


@frozen
class Span:
    """Something that took time, and is over.

    Args:
        trace: 128 bits, not 0.
        id: 64 bits, not 0.
        parent: the span around it, or None.
        name: few words, of which there are few in all.
        start: seconds since the epoch.
        end: seconds since the epoch, not before `start`.
        ok: whether it went well; None if it is neither.
        attributes: facts.
    """

    trace: int
    id: int
    parent: int | None
    name: str
    start: float
    end: float
    ok: bool | None
    attributes: Mapping[str, str | int]


def trace_of(uid: str) -> int | None:
    """Return the trace of a flow, or None for a uid that an altered database has."""
    return (int(uid, 16) or None) if _UID.fullmatch(uid) else None


def spans(flow: FlowRow, entries: Iterable[EntryRow]) -> Iterator[Span]:
    """Yield what is over, in the order in which it ended.

    What is yielded for some entries is yielded again, before more, when there are more of them.

    Args:
        flow: the row, which is used only if it is as the last entry has left it.
        entries: all of the flow, in order.
    """
    trace = trace_of(flow.uid)
    if trace is None:
        return
    made, teller = _Trace(flow, trace, flow.created_at), Storyteller(flow.kind)
    seq, at = 0, flow.created_at
    for entry in entries:
        if entry.kind == "retried":
            yield made.attempt(at, "retried", ok=False)
            made.begin(entry.at)
        seq, at = entry.seq, entry.at
        yield from map(made.step, teller.hear(entry))
    if flow.seq == seq:
        yield from map(made.step, teller.settle(flow))
        if flow.finished_at is not None:
            word = shown_word(flow.status)
            ok = False if went_badly(word) else flow.status == "done" or None
            yield made.attempt(flow.finished_at, word, ok=ok)


def _possible(at: float) -> float:
    """Return a time that the protocol can say, whatever an altered database holds."""
    return min(at, _LATEST) if at > 0 else 0.0  # 0.0 for what is not a number, too


@define
class _Trace:
    """The spans of one flow."""

    _flow: FlowRow
    _trace: int
    _began: float
    _number: int = 1
    _before: float = field(init=False)
    _seen: dict[int, int] = field(factory=dict, init=False)
    """How many steps were made of an entry."""

    def __attrs_post_init__(self) -> None:
        self._before = self._began

    def begin(self, at: float) -> None:
        """The next attempt begins."""
        self._number += 1
        self._began = self._before = at

    def step(self, step: Step) -> Span:
        """Return the span that ends with a step."""
        count = self._seen[step.seq] = self._seen.get(step.seq, 0) + 1
        facts: dict[str, str | int] = {
            "holdfast.step": printable(step.what, _LONGEST),
            "holdfast.entry": step.seq,
        }
        if step.worker is not None:
            facts["holdfast.worker"] = step.worker
        # The rest is numbers and words from elsewhere: names are to be few.
        name = re.sub(r" \d+", "", re.split("[:,;]", step.what, maxsplit=1)[0])
        ok = {Mood.GOOD: True, Mood.BAD: False}.get(step.mood)
        start, self._before = min(self._before, step.at), step.at
        above = self._id(f"attempt {self._number}")
        return self._span(f"{step.seq} {count}", above, name, start, step.at, ok, facts)

    def attempt(self, end: float, status: str, *, ok: bool | None) -> Span:
        """Return the span of the attempt that is over."""
        facts: dict[str, str | int] = {
            "holdfast.kind": printable(self._flow.kind, _LONGEST),
            "holdfast.batch": printable(self._flow.batch, _LONGEST),
            "holdfast.attempt": self._number,
            "holdfast.status": printable(status, _LONGEST),
        }
        key, name = f"attempt {self._number}", f"flow {self._flow.kind}"
        return self._span(key, None, name, min(self._began, end), end, ok, facts)

    def _span(
        self,
        key: str,
        parent: int | None,
        name: str,
        start: float,
        end: float,
        ok: bool | None,  # noqa: FBT001
        facts: Mapping[str, str | int],
    ) -> Span:
        short = printable(name.strip() or "step", _LONGEST)
        start, end = _possible(start), _possible(end)
        return Span(self._trace, self._id(key), parent, short, start, end, ok, facts)

    def _id(self, key: str) -> int:
        digest = hashlib.sha256(f"{self._trace:032x} {key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") or 1
