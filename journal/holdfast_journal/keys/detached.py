"""How detached tasks are sealed: they outlive their flow, and the flow's own key is deleted.

Their key follows from that of fingerprints, which is one for the whole database, and sealed under
every master key in use. So it outlives a change of the master key.
"""

from hashlib import blake2b

from holdfast_journal.keys.sealing import KEY_BYTES, seal, unseal

_COLUMN = "detached"


def derived(fingerprint_key: bytes) -> bytes:
    """The key under which this database's detached tasks are sealed."""
    return blake2b(b"detached tasks", key=fingerprint_key, digest_size=KEY_BYTES).digest()


def seal_detached(key: bytes, uid: str, number: int, arguments: bytes) -> bytes:
    """Seal the arguments of the detached task `number` of the flow `uid`."""
    return seal(key, uid, _COLUMN, number, arguments)


def open_detached(key: bytes, uid: str, number: int, sealed: bytes) -> bytes:
    """Open what `seal_detached` made. Raises Unreadable."""
    return unseal(key, uid, _COLUMN, number, sealed)
