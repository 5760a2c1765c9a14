"""Sealing: what a flow keeps is encrypted at rest, and lost to everybody once its key is deleted.

Every flow has a random data key; a *master key* seals the data keys (`masterkeys` finds it).
What is sealed under a master key begins with that key's identifier.

A sealed value is a nonce of 24 bytes, which never comes twice, and an XChaCha20-Poly1305 box. Its
associated data say which flow, column and seq it belongs to, so a value moved to another row does
not open. (Values that a flow has only one of, and that do not change with every event, have the
seq 0.)

What a running flow writes is sealed by its `Sealer`, to the same form and much cheaper.
"""

import json
import re
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from typing import Self

from attrs import define, field
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError
from twisted.logger import Logger

from holdfast_journal.errors import Unreadable, WrongKey

KEY_BYTES = 32
_NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
ID_BYTES = 4
_START = 16
"""Bytes of a nonce from which XChaCha20 derives a key of its own; the others go to ChaCha20."""
_CIPHERS = 1024
"""Flows for which a cipher is kept at hand, some 2 kB each."""

_log = Logger()


def new_key() -> bytes:
    """Make a random key, of a flow or a master."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, uid: str, column: str, seq: int | str, value: bytes) -> bytes:
    """Seal `value` for its place: flow `uid`, `column`, and `seq` within the flow."""
    nonce = secrets.token_bytes(_NONCE)
    place = f"{uid}|{column}|{seq}".encode()
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(value, place, nonce, key)


@define(eq=False)
class Sealer:
    """Seals the many values of one flow as `seal` does, for a fifth of its price.

    XChaCha20-Poly1305 is ChaCha20-Poly1305 under a key that comes from the first 16 bytes of the
    nonce, with the other 8 for its nonce (draft-irtf-cfrg-xchacha-03, section 2.3). So those 16 are
    drawn once, and the 8 count: no nonce comes twice unless two sealers of one flow draw the same
    128 bits. `cryptography` keeps the interpreter's lock meanwhile, where PyNaCl lets go of it:
    sealing takes less time than another thread needs to notice that the lock is free.

    Safe to use from several threads.
    """

    _uid: str
    _key: bytes = field(repr=False)
    _start: tuple[bytes, bytes] | None = field(default=None, init=False, repr=False)
    """The drawn bytes and the key that comes from them. Many flows wait and never seal."""
    _counter: Iterator[int] = field(factory=count, init=False, repr=False)

    def seal(self, column: str, seq: int, value: bytes) -> bytes:
        """Seal `value` for its place: `column`, and `seq` within the flow."""
        if self._start is None:
            drawn = secrets.token_bytes(_START)
            self._start = drawn, _derived(self._key, drawn)
        drawn, key = self._start
        number = next(self._counter).to_bytes(_NONCE - _START, "little")
        place = f"{self._uid}|{column}|{seq}".encode()
        return drawn + number + _cipher(key).encrypt(b"\0\0\0\0" + number, value, place)


_cipher = lru_cache(_CIPHERS)(ChaCha20Poly1305)


def _derived(key: bytes, start: bytes) -> bytes:
    """HChaCha20, from a block of ChaCha20's key stream.

    That block is the first and the last row of the result, once the words that it began with, which
    ChaCha20 adds in the end, are taken off again: its constant and the `start`.
    """
    block = Cipher(ChaCha20(key, start), mode=None).encryptor().update(bytes(64))
    ends = struct.unpack("<8I", block[:16] + block[48:])
    began = struct.unpack("<8I", b"expand 32-byte k" + start)
    return struct.pack("<8I", *((a - b) % 2**32 for a, b in zip(ends, began, strict=True)))


def unseal(key: bytes, uid: str, column: str, seq: int | str, sealed: bytes) -> bytes:
    """Open what `seal` made for the same place. Raises Unreadable."""
    place = f"{uid}|{column}|{seq}"
    if not isinstance(sealed, bytes):  # SQLite keeps anything in any column
        raise Unreadable(f"{column} {seq} of flow {uid} is not what was written there: no bytes")
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[_NONCE:], place.encode(), sealed[:_NONCE], key
        )
    except (CryptoError, ValueError) as error:
        raise Unreadable(
            f"{column} {seq} of flow {uid} is not what was written there: it was altered or moved"
        ) from error


def published_json(published: Mapping[str, object]) -> bytes:
    """How published values are kept. Raises TypeError or ValueError for what JSON cannot hold."""
    return json.dumps(dict(published), allow_nan=False).encode()


def key_id(key: bytes) -> str:
    """Name a master key without telling it: 8 hex digits."""
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
    then on. Keys that it once had it keeps for opening as long as the process lives.
    """

    _keys: Sequence[bytes] = field(repr=False)
    _again: Callable[[], Sequence[bytes] | None] | None = field(
        default=None, repr=False, eq=False, kw_only=True
    )
    """Reads the keys again; None if they are what they were."""
    _told: bool = field(default=False, init=False, repr=False, eq=False)
    """Whether it was said that they cannot be read."""

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
        """Whether keys that are put there later come to be known."""
        return self._again is not None

    def refresh(self) -> None:
        """Look whether there are other keys by now. A file that cannot be read changes nothing."""
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
        """What the first release made fingerprints with; it kept that nowhere."""
        return blake2b(b"fingerprint", key=self._keys[-1], person=b"holdfast").digest()


def fingerprint(key: bytes, *parts: str) -> str:
    """A keyed hash of `parts`, in hex: equal for equal parts, and says nothing to others."""
    hashed = blake2b(key=key, digest_size=16)
    for part in parts:
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return hashed.hexdigest()


def missing_key(name: str) -> WrongKey:
    """The error for a database that was sealed under a key which is not here."""
    return WrongKey(f"this database was sealed under another master key (its id is {name})")
