"""Sealing: what a flow keeps is encrypted at rest, and unreadable once its key is deleted.

Every flow has a random data key; a master key seals the data keys (`master` finds it). What is
sealed under a master key begins with that key's identifier.

A sealed value is a nonce of 24 bytes, which is never repeated, and an XChaCha20-Poly1305 box. Its
associated data say which flow, column and seq it belongs to, so a value that was moved to another
row cannot be opened. (Values that a flow has only one of, and that do not change with every event,
have the seq 0.)

The `sealer.Sealer` of a running flow seals what the flow writes: in the same form, much cheaper.
"""

import json
import secrets
from collections.abc import Mapping

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError

from holdfast_journal.errors import Unreadable

KEY_BYTES = 32
NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES


def new_key() -> bytes:
    """Make a random key: a data key or a master key."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, uid: str, column: str, seq: int | str, value: bytes) -> bytes:
    """Seal `value` for its place: flow `uid`, `column`, and `seq` within the flow."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    place = f"{uid}|{column}|{seq}".encode()
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(value, place, nonce, key)


def unseal(key: bytes, uid: str, column: str, seq: int | str, sealed: bytes) -> bytes:
    """Open what `seal` made for the same place. Raises Unreadable."""
    place = f"{uid}|{column}|{seq}"
    if not isinstance(sealed, bytes):  # SQLite stores any type in any column
        raise Unreadable(f"{column} {seq} of flow {uid} is not what was written there: no bytes")
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[NONCE_BYTES:], place.encode(), sealed[:NONCE_BYTES], key
        )
    except (CryptoError, ValueError) as error:
        raise Unreadable(
            f"{column} {seq} of flow {uid} is not what was written there: it was altered or moved"
        ) from error


def published_json(published: Mapping[str, object]) -> bytes:
    """The stored form of published values; TypeError or ValueError if JSON cannot hold one."""
    return json.dumps(dict(published), allow_nan=False).encode()
