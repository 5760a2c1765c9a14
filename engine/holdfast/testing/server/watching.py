"""What the model of `holdfast mailbox` keeps of watching (watching.md, "What is kept").

Part of the model in `mailbox_server.py`. All of it is committed with what caused it.
"""

from attrs import define, field


@define(eq=False)
class Watcher:
    """A watcher: how often it began to watch something, and when it was last there."""

    app: str
    seen: float
    revision: int = 0


@define(eq=False, repr=False)
class Watches:
    """All watchers, what they watch, and what was not acknowledged."""

    watchers: dict[tuple[str, str], Watcher] = field(factory=dict)
    """By application and secret name."""
    watched: dict[tuple[str, str], Watcher] = field(factory=dict)
    """By mailbox and side."""
    arrivals: dict[int, tuple[str, str]] = field(factory=dict)
    """By number: mailbox and side."""
    _last: int = 0

    def watcher(self, app: str, name: str, now: float) -> Watcher:
        """Return a watcher, who is there now."""
        found = self.watchers.setdefault((app, name), Watcher(app, now))
        found.seen = now
        return found

    def forget(self, old: float) -> None:
        """Forget whoever was not there since."""
        for name, watcher in tuple(self.watchers.items()):
            if watcher.seen <= old:
                for key in self.of(watcher):
                    self.end(key)
                del self.watchers[name]

    def of(self, watcher: Watcher) -> list[tuple[str, str]]:
        """All that a watcher watches."""
        return [key for key, each in self.watched.items() if each is watcher]

    def seen(self, key: tuple[str, str]) -> float:
        """When whoever watches this was last there."""
        return self.watched[key].seen if key in self.watched else float("-inf")

    def came(self, mailbox: str, side: str | None = None) -> None:
        """Note a message of a side (None: the end of the mailbox) for those who watch."""
        for key in tuple(self.watched):
            if key[0] == mailbox and key[1] != side:
                self.note(key)

    def note(self, key: tuple[str, str]) -> None:
        """Note that something has come for a watched side of a mailbox."""
        if key not in self.arrivals.values():
            self._last += 1
            self.arrivals[self._last] = key

    def end(self, key: tuple[str, str]) -> None:
        """End a watch."""
        self.watched.pop(key, None)
        self.arrivals = {number: each for number, each in self.arrivals.items() if each != key}
