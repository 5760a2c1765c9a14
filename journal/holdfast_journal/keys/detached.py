"""How detached tasks are sealed: they outlive their flow, and the flow's own key is deleted.

Their key follows from that of fingerprints, which is one for the whole database, and sealed under
every master key in use. So it outlives a change of the master key.
"""

from hashlib import blake2b

from attrs import define, field

from holdfast_journal.keys.master import fingerprint_key
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import KEY_BYTES, seal, unseal
from holdfast_journal.store.database import Database
from holdfast_journal.workers.shared_time import SharedTime

_COLUMN = "detached"


def derived(fingerprint_key: bytes) -> bytes:
    """The key under which this database's detached tasks are sealed."""
    return blake2b(b"detached tasks", key=fingerprint_key, digest_size=KEY_BYTES).digest()


@define(eq=False)
class DetachedKey:
    """The same key, read from the database when it is first needed."""

    _database: Database
    _keys: KeyRing
    _time: SharedTime
    _key: bytes = field(default=b"", init=False, repr=False)

    def get(self) -> bytes:
        """The key. Raises WrongKey, Unreadable, DatabaseUnusable."""
        if not self._key:
            own = fingerprint_key(self._database, self._keys, self._time.now())
            self._key = derived(own)
        return self._key


def seal_detached(key: bytes, uid: str, number: int, arguments: bytes) -> bytes:
    """Seal the arguments of the detached task `number` of the flow `uid`."""
    return seal(key, uid, _COLUMN, number, arguments)


def open_detached(key: bytes, uid: str, number: int, sealed: bytes) -> bytes:
    """Open what `seal_detached` made. Raises Unreadable."""
    return unseal(key, uid, _COLUMN, number, sealed)
