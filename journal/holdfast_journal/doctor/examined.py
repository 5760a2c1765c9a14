"""What was found in a journal, as values. Nothing here holds a secret that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen


@frozen
class Finding:
    """One problem that was found. Holds no secret."""

    check: str
    """Which check found it, as a word that stays the same: "sequence", "seal", ..."""
    what: str
    do: str
    """What the operator can do about it."""
    batch: str | None = None
    flow: str | None = None
    """The flow's name; None if it is about more than one."""
    hint: bool = False
    """Whether it is only worth knowing, and all may be well."""


@frozen
class OpenedEntry:
    """One entry with its event, opened."""

    seq: int
    kind: str
    said: Sequence[str]
    event: bytes | None = field(repr=False)
    """None if it does not open."""


@define
class Examined:
    """What a flow consists of, as far as it can be read, and what is wrong with it."""

    id: int
    batch: str
    name: str
    kind: str
    status: str
    finished: bool
    seq: int
    shredded: bool
    findings: list[Finding] = field(factory=list)
    params: bytes | None = field(default=None, repr=False)
    checkpoint: bytes | None = field(default=None, repr=False)
    published: Mapping[str, Any] | None = field(default=None, repr=False)
    entries: Sequence[OpenedEntry] = ()
    tasks: Sequence[str] = ()
    """The names of its unfinished tasks."""
    messages: Mapping[int, bytes] | None = field(default=None, repr=False)
    """What it has said, by number, apart from its checkpoint; None if not all of it opens."""

    def found(self, check: str, what: str, do: str, *, hint: bool = False) -> None:
        """Add a finding about this flow."""
        self.findings.append(Finding(check, what, do, self.batch, self.name, hint))

    @property
    def attempt(self) -> Sequence[OpenedEntry]:
        """The entries of the present attempt: those behind the last retry."""
        for place in range(len(self.entries) - 1, -1, -1):
            if self.entries[place].kind == "retried":
                return self.entries[place + 1 :]
        return self.entries
