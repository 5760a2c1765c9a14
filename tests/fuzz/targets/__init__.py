"""What is fuzzed, each target a small function: it reads an input, and lets errors out.

The invariant is `holdfast`'s word to whoever gives it input: a value, or an error that the
documentation names, in bounded time, without a secret in its text.
"""

from tests.fuzz.target import TARGETS
from tests.fuzz.targets import (
    console,
    dilated,
    dilation,
    exchanges,
    files,
    journal,
    phases,
    protocol,
    transfer,
    transit,
    typed,
    watching,
)

__all__ = [
    "TARGETS",
    "console",
    "dilated",
    "dilation",
    "exchanges",
    "files",
    "journal",
    "phases",
    "protocol",
    "transfer",
    "transit",
    "typed",
    "watching",
]
