"""The group of SPAKE2 on libsodium: the prime-order subgroup of edwards25519.

The `spake2` package is written against a small group interface and includes Ed25519 in pure
Python. `GROUP` has the same interface with libsodium's arithmetic, about twenty times
cheaper. Messages and keys stay the same, byte for byte.

libsodium refuses to return the neutral element from a multiplication and to take it as a
factor, so the neutral element is handled here, by comparison with its one encoding.
"""

from collections.abc import Callable
from itertools import count
from typing import Final

from attrs import field, frozen
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)
from nacl.exceptions import RuntimeError as SodiumRefused

from holdfast.crypto.hkdf import hkdf

FIELD: Final = 2**255 - 19
"""The prime of the field that coordinates are in."""

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The prime order L of the subgroup; scalars are counted modulo L."""

IDENTITY: Final = (1).to_bytes(32, "little")
"""The encoding of the neutral element: y is 1, x is 0."""

_BASE_POINT: Final = crypto_scalarmult_ed25519_base_noclamp((1).to_bytes(32, "little"))


@frozen
class Element:
    """A member of the subgroup, the neutral element included, by its 32-byte encoding."""

    # A product may be a shared secret, so it stays out of every traceback.
    encoded: bytes = field(repr=False)

    def add(self, other: "Element") -> "Element":
        """The sum of two elements."""
        return Element(crypto_core_ed25519_add(self.encoded, other.encoded))

    def subtract(self, other: "Element") -> "Element":
        """The difference of two elements."""
        return Element(crypto_core_ed25519_sub(self.encoded, other.encoded))

    def scalarmult(self, scalar: int) -> "Element":
        """This element `scalar` times; any integer, negative ones too."""
        scalar %= ORDER
        if scalar == 0 or self.encoded == IDENTITY:
            return Element(IDENTITY)
        factor = scalar_to_bytes(scalar)
        if self.encoded == _BASE_POINT:
            return Element(crypto_scalarmult_ed25519_base_noclamp(factor))
        return Element(crypto_scalarmult_ed25519_noclamp(factor, self.encoded))

    def to_bytes(self) -> bytes:
        """The 32 bytes that stand for this element in a message."""
        return self.encoded


def scalar_to_bytes(scalar: int) -> bytes:
    """`scalar` modulo L in 32 bytes, little-endian."""
    return (scalar % ORDER).to_bytes(32, "little")


class Ed25519Group:
    """The group, in the form that the `spake2` package expects."""

    Base: Final = Element(_BASE_POINT)
    Zero: Final = Element(IDENTITY)
    scalar_size_bytes: Final = 32
    element_size_bytes: Final = 32

    def order(self) -> int:
        """The number of elements."""
        return ORDER

    def random_scalar(self, entropy_f: Callable[[int], bytes]) -> int:
        """A scalar from 64 bytes of `entropy_f`: more than enough, against bias."""
        return int.from_bytes(entropy_f(64), "big") % ORDER

    def scalar_to_bytes(self, scalar: int) -> bytes:
        """`scalar` modulo L in 32 bytes, little-endian."""
        return scalar_to_bytes(scalar)

    def bytes_to_scalar(self, encoded: bytes) -> int:
        """The number that 32 little-endian bytes stand for; ValueError for another length."""
        if len(encoded) != self.scalar_size_bytes:
            raise ValueError("a scalar has 32 bytes")
        return int.from_bytes(encoded, "little")

    def password_to_scalar(self, password: bytes) -> int:
        """The scalar of a password: 48 bytes of HKDF, big-endian, modulo L."""
        return int.from_bytes(hkdf(password, b"SPAKE2 pw", 48), "big") % ORDER

    def bytes_to_element(self, encoded: bytes) -> Element:
        """The element that a peer's 32 bytes stand for.

        Raises ValueError unless they are the canonical encoding of a member of the
        subgroup other than the neutral element.
        """
        if len(encoded) != self.element_size_bytes:
            raise ValueError("an element has 32 bytes")
        if not crypto_core_ed25519_is_valid_point(encoded):
            raise ValueError("not an element of the group")
        return Element(encoded)

    def arbitrary_element(self, seed: bytes) -> Element:
        """An element of unknown logarithm, from a public `seed`.

        Every y coordinate from the hash of the seed upwards is tried until one is on the
        curve; eight times that point is in the subgroup.
        """
        start = int.from_bytes(hkdf(seed, b"SPAKE2 arbitrary element", 48), "big")
        for plus in count():
            y = (start + plus) % FIELD
            try:
                # To add the neutral element is libsodium's way to ask whether a point is on the
                # curve. The sign bit is clear, which selects the even x.
                point = crypto_core_ed25519_add(y.to_bytes(32, "little"), IDENTITY)
            except SodiumRefused:
                continue
            for _ in range(3):
                point = crypto_core_ed25519_add(point, point)
            if point != IDENTITY:
                return Element(point)
        raise AssertionError("half of all coordinates are on the curve")


GROUP: Final = Ed25519Group()
"""The one instance; it holds nothing."""
