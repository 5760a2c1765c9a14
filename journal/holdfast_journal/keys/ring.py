"""The master keys of one process, and what is sealed under them."""

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Self

from attrs import define, field
from twisted.logger import Logger

from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.sealing import KEY_BYTES, new_key, seal, unseal

ID_BYTES = 4

_log = Logger()


def key_id(key: bytes) -> str:
    """Name a master key without revealing it: 8 hex digits."""
    return blake2b(key).hexdigest()[: 2 * ID_BYTES]


def parse_keys(text: str, source: str) -> list[bytes]:
    """Read keys of 64 hex digits each, separated by white space; `#` starts a comment.

    Raises WrongKey, which names `source` and repeats nothing of `text`.
    """
    words = re.sub(r"#.*", "", text).split()
    if not words or any(not re.fullmatch(r"[0-9a-fA-F]{64}", word) for word in words):
        raise WrongKey(f"{source} does not hold a master key, which is 64 hex digits")
    return [bytes.fromhex(word) for word in words]


def sealed_under(sealed: bytes) -> str:
    """Name the master key that a data key was sealed under. Raises Unreadable."""
    if not isinstance(sealed, bytes):
        raise Unreadable("what was sealed under a master key is not what was written there")
    return sealed[:ID_BYTES].hex()


@define
class KeyRing:
    """The master keys: the first seals, all of them open. Safe to use from several threads.

    A ring that was read from a file follows the file: a new key that is put in front seals from
    then on. The ring keeps all keys that it ever had, for opening, as long as the process lives.
    """

    _keys: Sequence[bytes] = field(repr=False)
    _again: Callable[[], Sequence[bytes] | None] | None = field(
        default=None, repr=False, eq=False, kw_only=True
    )
    """Reads the keys again; returns None if they have not changed."""
    _told: bool = field(default=False, init=False, repr=False, eq=False)
    """Whether it was reported that they cannot be read."""

    def __attrs_post_init__(self) -> None:
        if not self._keys or any(len(key) != KEY_BYTES for key in self._keys):
            raise WrongKey("a master key is 64 hex digits")

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """A ring of the keys in `text`; see `parse_keys`, also for what it raises."""
        return cls(parse_keys(text, source))

    @classmethod
    def random(cls) -> Self:
        """A ring of one new key: for tests, and for a database in memory."""
        return cls([new_key()])

    @property
    def ids(self) -> Sequence[str]:
        """Identifiers of the keys, the one that seals first."""
        return [key_id(key) for key in self._keys]

    @property
    def follows_a_file(self) -> bool:
        """Whether the ring learns of keys that are added later."""
        return self._again is not None

    def refresh(self) -> None:
        """Look for new keys. A file that cannot be read changes nothing."""
        if self._again is None:
            return
        try:
            found = self._again()
        except WrongKey as error:
            if not self._told:
                self._told = True
                _log.warn("{error}; what was read there before is used", error=error)
            return
        self._told = False
        if found is not None:
            self._keys = (*found, *(key for key in self._keys if key not in found))

    def seal(self, uid: str, column: str, value: bytes) -> bytes:
        """Seal under the first key; the result starts with that key's identifier."""
        master = self._keys[0]
        name = key_id(master)
        return bytes.fromhex(name) + seal(master, uid, column, name, value)

    def open(self, uid: str, column: str, sealed: bytes) -> bytes:
        """Open what `seal` made. Raises WrongKey without its master key, or Unreadable."""
        name = sealed_under(sealed)
        if name not in self.ids:
            self.refresh()
        for key in self._keys:
            if key_id(key) == name:
                return unseal(key, uid, column, name, sealed[ID_BYTES:])
        raise missing_key(name)

    def seal_data_key(self, uid: str, data_key: bytes) -> bytes:
        """Seal a flow's data key."""
        return self.seal(uid, "data_key", data_key)

    def open_data_key(self, uid: str, sealed: bytes) -> bytes:
        """Open what `seal_data_key` made. Raises WrongKey without its master key, or Unreadable."""
        return self.open(uid, "data_key", sealed)

    def first_fingerprint_key(self) -> bytes:
        """The first release's key of fingerprints, which it did not store."""
        return blake2b(b"fingerprint", key=self._keys[-1], person=b"holdfast").digest()


def fingerprint(key: bytes, *parts: str) -> str:
    """A keyed hash of `parts`, in hex: equal for equal parts, and meaningless without the key."""
    hashed = blake2b(key=key, digest_size=16)
    for part in parts:
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return hashed.hexdigest()


def missing_key(name: str) -> WrongKey:
    """The error for a database that was sealed under a key that is missing."""
    return WrongKey(f"this database was sealed under another master key (its id is {name})")
