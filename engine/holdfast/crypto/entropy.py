"""Randomness as a value: one seed comes with an event, everything random is drawn from it."""

from hashlib import blake2b
from typing import Final

from attrs import field, frozen

SEED_LENGTH: Final = 32
"""Bytes of a seed."""

_PERSON: Final = b"holdfast entropy"


def _check_seed(_instance: object, _attribute: object, seed: bytes) -> None:
    if not isinstance(seed, bytes) or len(seed) != SEED_LENGTH:
        # Show neither the value nor its repr: it may be a seed of the wrong length.
        raise ValueError(f"a seed is {SEED_LENGTH} bytes")


@frozen
class Entropy:
    """Draws that look random without the seed, and that the same seed repeats.

    `seed` is 32 bytes from the operating system's generator; ValueError for anything else.
    It must be used for one event only, and kept as secret as what is drawn from it.
    """

    seed: bytes = field(repr=False, validator=_check_seed)

    def draw(self, label: str, length: int) -> bytes:
        """`length` bytes for `label`.

        The same label and length give the same bytes again. Another label, or another
        length, gives unrelated bytes. Raises ValueError for a
        length that is not positive.
        """
        if length < 1:
            raise ValueError(f"a draw has at least 1 byte, not {length}")
        named = length.to_bytes(8, "big") + label.encode()
        blocks = (
            blake2b(number.to_bytes(8, "big") + named, key=self.seed, person=_PERSON).digest()
            for number in range(-(-length // 64))
        )
        return b"".join(blocks)[:length]
