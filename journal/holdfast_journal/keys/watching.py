"""How what is watched is kept: a stolen database gives away no mailbox, and no server's secret.

As those of detached tasks, these keys follow from the key of fingerprints: they are the same for
all workers of a database, and outlive a change of the master key.
"""

from hashlib import blake2b
from typing import Self

from attrs import field, frozen

from holdfast_journal.keys.ring import fingerprint
from holdfast_journal.keys.sealing import KEY_BYTES, seal, unseal


@frozen
class WatchKeys:
    """The keys of one database's watchers."""

    _sealing: bytes = field(repr=False)
    _hashing: bytes = field(repr=False)

    @classmethod
    def derived(cls, fingerprint_key: bytes) -> Self:
        """The keys that follow from the key of fingerprints."""
        return cls(_derived(b"watchers", fingerprint_key), _derived(b"watches", fingerprint_key))

    def uid(self, url: str, appid: str) -> str:
        """By which the watcher of a server and an application is found: 32 hex digits."""
        return fingerprint(self._hashing, "watcher", url, appid)

    def mark(self, watcher: int, mailbox: str, side: str) -> str:
        """By which the flow is found that waits in a mailbox: 32 hex digits."""
        return fingerprint(self._hashing, "mailbox", str(watcher), mailbox, side)

    def seal(self, uid: str, column: str, value: str) -> bytes:
        """Seal a text for its place in a watcher's row."""
        return seal(self._sealing, uid, column, 0, value.encode())

    def open(self, uid: str, column: str, sealed: bytes) -> str:
        """Open what `seal` made for the same place. Raises Unreadable."""
        return unseal(self._sealing, uid, column, 0, sealed).decode()


def _derived(what: bytes, fingerprint_key: bytes) -> bytes:
    return blake2b(what, key=fingerprint_key, digest_size=KEY_BYTES).digest()
