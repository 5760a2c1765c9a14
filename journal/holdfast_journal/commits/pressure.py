"""Whether this process should take in more: its database answers, and not too much waits for it.

A component that finds that the database does not answer says so here, and says so again when it
does. The operator reads one line when that begins and one when it is over, whichever component
noticed it first. Listeners stop reading from sockets meanwhile, so that what cannot be stored waits
where it is safe.
"""

from collections.abc import Callable

from attrs import define, field
from twisted.logger import Logger

_log = Logger()


@define(eq=False)
class Pressure:
    """For the reactor's thread only."""

    _name: str
    """The database's, for people."""
    _listeners: list[Callable[[bool], object]] = field(factory=list, init=False, repr=False)
    _suffering: set[str] = field(factory=set, init=False)
    _full: bool = field(default=False, init=False)

    @property
    def usable(self) -> bool:
        """Whether the database answers, as far as is known."""
        return not self._suffering

    @property
    def high(self) -> bool:
        """Whether nothing more should be taken in for now."""
        return self._full or bool(self._suffering)

    def high_apart_from(self, who: str) -> bool:
        """Whether it is high for another reason than a failure of `who`.

        A component that failed must be able to try again, or it would never learn that it is over.
        """
        return self._full or bool(self._suffering - {who})

    def listen(self, listener: Callable[[bool], object]) -> None:
        """Call `listener` with True when it becomes high (now, if it is), with False after that."""
        self._listeners.append(listener)
        if self.high:
            listener(True)  # noqa: FBT003 - as a listener is called

    def fails(self, who: str, why: str) -> None:
        """The database does not answer `who`, a short word; `why` is one line for people."""
        if not self._suffering:
            text = "the database {name} cannot be used now: {why}; waiting until it can"
            _log.warn(text, name=self._name, why=why)
        before = self.high
        self._suffering.add(who)
        self._tell(before=before)

    def answers(self, who: str) -> None:
        """The database answers `who`, again or still."""
        if self._suffering == {who}:
            _log.warn("the database {name} can be used again", name=self._name)
        before = self.high
        self._suffering.discard(who)
        self._tell(before=before)

    def fill(self, *, full: bool) -> None:
        """Too much waits to be written, or no longer."""
        before, self._full = self.high, full
        self._tell(before=before)

    def _tell(self, *, before: bool) -> None:
        if self.high is not before:
            for listener in tuple(self._listeners):
                listener(self.high)
