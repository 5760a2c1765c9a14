"""Cryptography as functions: no I/O, no clock, and every random byte is an argument.

`start` and `finish` turn a code into a key, `derive`, `phase_key` and `verifier` make keys
for single purposes from it, `seal` and `unseal` are the boxes that messages travel in, and
`Entropy` draws everything random from one seed.
"""

from holdfast.crypto.entropy import Entropy
from holdfast.crypto.pake import BadPake, Half, finish, scalar_from_seed, start, start_with
from holdfast.crypto.phase import (
    OVERHEAD,
    CannotUnseal,
    derive,
    phase_key,
    seal,
    unseal,
    verifier,
)

__all__ = [
    "OVERHEAD",
    "BadPake",
    "CannotUnseal",
    "Entropy",
    "Half",
    "derive",
    "finish",
    "phase_key",
    "scalar_from_seed",
    "seal",
    "start",
    "start_with",
    "unseal",
    "verifier",
]
