"""The last run of `holdfast doctor --note`, as a row of the audit.

The row's detail is a line that sums up, and a line for each of the first findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from holdfast.operating.printable import printable

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal
    from holdfast_journal.doctor import Finding

ACTION: Final = "doctor"

MOST: Final = 50
"""How many findings are kept."""
LONGEST: Final = 500
"""How many characters of each."""


@frozen
class Checkup:
    """A run of the doctor. Times in seconds since the epoch."""

    at: float
    who: str
    summary: str
    findings: Sequence[str]
    """The first ones, in words."""


def as_words(finding: Finding) -> str:
    """Return a finding as one line."""
    where = "" if finding.flow is None else f"{finding.batch}/{finding.flow}: "
    hint = "hint: " if finding.hint else ""
    return printable(f"{hint}{where}{finding.what}; {finding.do}", 2000)


def note(journal: SqlJournal, summary: str, findings: Sequence[Finding]) -> None:
    """Write down what the doctor has found in the whole database. Raises DatabaseUnusable."""
    from holdfast.operating.audit import operator

    lines = [printable(as_words(each), LONGEST) for each in findings[:MOST]]
    if len(findings) > MOST:
        lines.append(f"and {len(findings) - MOST} more")
    journal.note(operator().does(ACTION, "\n".join([summary, *lines])))


def last(journal: SqlJournal) -> Checkup | None:
    """Return what was written down last, if anything. Raises DatabaseUnusable."""
    from holdfast_journal import Deeds

    found = next(iter(journal.audit(Deeds(action=ACTION), limit=1)), None)
    if found is None:
        return None
    summary, *findings = found.detail.split("\n")
    return Checkup(found.at, found.who, summary, findings)
