"""Turning a code into a key: SPAKE2, both sides alike.

Our half of the exchange is a function of the code, the application's id and one secret
scalar, so the scalar and what was sent are all that has to be kept until the peer's half
arrives. The protocol is that of the `spake2` package; the arithmetic is libsodium's
(`ed25519`).

The message is that of client-protocol.md, "Pake".
"""

from functools import cache
from typing import Any, Final
from unicodedata import normalize

from attrs import field, frozen
from nacl.exceptions import RuntimeError as SodiumRefused

from holdfast.crypto.ed25519 import GROUP, ORDER, Element, scalar_to_bytes

SIDE: Final = b"S"
"""First byte of a message between two sides that are alike."""

MESSAGE_LENGTH: Final = 33
"""The side byte and an element, in bytes."""

SEED_LENGTH: Final = 64
"""Bytes of randomness that a scalar is made of."""


class BadPake(Exception):
    """An honest peer does not send such a half; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@frozen
class Half:
    """Our half of an exchange: what the peer gets, and the secret that finishes it.

    `message` has 33 bytes. `scalar` is 64 hexadecimal digits, little-endian, and must be
    kept as secret as the code.
    """

    message: bytes
    scalar: str = field(repr=False)


def scalar_from_seed(scalar_seed: bytes) -> str:
    """The scalar that 64 random bytes stand for, as in `Half.scalar`.

    Raises ValueError for a seed of another length, or one that a random number generator would
    never yield (its scalar is zero).
    """
    if len(scalar_seed) != SEED_LENGTH:
        raise ValueError(f"the seed of a scalar has {SEED_LENGTH} bytes, not {len(scalar_seed)}")
    scalar = scalar_to_bytes(int.from_bytes(scalar_seed, "big")).hex()
    _number(scalar)
    return scalar


def start(code: str, appid: str, scalar_seed: bytes) -> Half:
    """Our half for `code` within `appid`, from 64 fresh random bytes.

    The same arguments always give the same half. Raises ValueError as
    `scalar_from_seed` does.
    """
    return start_with(code, appid, scalar_from_seed(scalar_seed))


def start_with(code: str, appid: str, scalar: str) -> Half:
    """Our half for `code` within `appid` with a known `scalar`, as in `Half.scalar`.

    Raises ValueError when `scalar` is not a scalar.
    """
    # Imported when first needed: the package computes parameters of its own at import,
    # which commands that only read a database should not wait for.
    from spake2 import SPAKE2_Symmetric

    number = _number(scalar)
    exchange = SPAKE2_Symmetric(
        _encode(code),
        idSymmetric=_encode(appid),
        params=_parameters(),
        # Read as one big-endian number modulo L: exactly our scalar.
        entropy_f=lambda length: number.to_bytes(length, "big"),
    )
    return Half(exchange.start(), scalar)


def finish(code: str, appid: str, half: Half, peer_message: bytes) -> bytes:
    """The key (32 bytes) that our `half` and the peer's agree on.

    The peer has the same key only if it used the same code and application id; nothing
    here tells whether it did. Raises BadPake when an honest peer could not have sent
    `peer_message`, and ValueError when `half` is not a half.
    """
    _check_form(peer_message)
    message, number = half.message, _number(half.scalar)
    if peer_message == message:
        raise BadPake("it is our own message, reflected")
    if len(message) != MESSAGE_LENGTH:
        raise ValueError("our own message has another length")
    from spake2.spake2 import finalize_SPAKE2_symmetric

    try:
        # The package's finish() would multiply again for a term that our message already
        # contains: subtracting the scalar's part, which is cheap, leaves the password's part.
        blinding = Element(message[1:]).subtract(GROUP.Base.scalarmult(number))
        if peer_message[1:] == blinding.to_bytes():
            # The peer's scalar would be zero, and the key the same whatever ours is.
            raise BadPake("it leads to a key that does not depend on us")
        try:
            theirs = GROUP.bytes_to_element(peer_message[1:])
        except ValueError:
            raise BadPake("it holds no element of the group") from None
        shared = theirs.subtract(blinding).scalarmult(number)
    except SodiumRefused:
        raise ValueError("our own message holds no element of the group") from None
    key: bytes = finalize_SPAKE2_symmetric(
        _encode(appid), peer_message[1:], message[1:], shared.to_bytes(), _encode(code)
    )
    return key


def _check_form(peer_message: bytes) -> None:
    if len(peer_message) != MESSAGE_LENGTH:
        raise BadPake(f"it has {len(peer_message)} bytes instead of {MESSAGE_LENGTH}")
    if not peer_message.startswith(SIDE):
        raise BadPake("it is not for two sides that are alike")


@cache
def _parameters() -> Any:
    """The parameters of the protocol in our group: three elements of unknown logarithm."""
    from spake2.params import _Params

    return _Params(GROUP)


def _encode(text: str) -> bytes:
    # One keyboard composes an accent, another types it separately: the password is the same.
    return normalize("NFC", text).encode("utf-8", "surrogatepass")


def _number(scalar: str) -> int:
    try:
        encoded = bytes.fromhex(scalar)
    except ValueError:
        raise ValueError("a scalar has 64 hexadecimal digits") from None
    number = GROUP.bytes_to_scalar(encoded)
    if not 0 < number < ORDER:
        # With zero, an attacker could find the code from our message by searching.
        raise ValueError("a scalar lies between zero and the order of the group")
    return number
