"""What happened, in order, in words, with names instead of identifiers."""

import hashlib

from attrs import define, field


@define(eq=False)
class Trace:
    """Lines with their times."""

    lines: list[str] = field(factory=list)
    names: dict[str, str] = field(factory=dict)
    """What identifiers are called, as far as anybody has named them."""

    def say(self, now: float, who: str, what: str) -> None:
        self.lines.append(f"{now:10.3f}  {who:<10} {what}")

    def name(self, identifier: str, name: str) -> None:
        self.names.setdefault(identifier, name)

    def called(self, identifier: str) -> str:
        return self.names.get(identifier, identifier)

    @property
    def digest(self) -> str:
        """Tells two traces apart."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return "\n".join(self.lines)
