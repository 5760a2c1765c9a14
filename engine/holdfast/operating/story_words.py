"""The words of a flow's story, and the words of entries that it is made from.

The latter are those of `holdfast.core.describe` and of the engine. They stand in the databases of
all releases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from attrs import frozen


class Mood(StrEnum):
    """Whether a step is good news."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


@frozen
class Step:
    """One step of a story."""

    at: float
    """Seconds since the epoch."""
    after: float | None
    """Seconds since the step before; None for the first."""
    what: str
    """In words, of which some come from elsewhere: make them printable."""
    mood: Mood
    seq: int
    """The number of the entry that it was made from."""
    worker: int | None
    """The worker that wrote that entry; None if it was no worker."""


@frozen
class Doubt:
    """What a step is once that is clear."""

    good: str
    bad: str
    by_end: bool = False
    """Whether only the end of the flow makes it clear."""


@frozen
class Kind:
    """What is said of one kind of flow."""

    peer: str = "peer"
    opened: str = "code works"
    """When its code works that it has not made."""
    sent: str = ""
    """What its first message is."""
    answer: Doubt | None = None
    """What the peer's first message is."""
    numbers: bool = True
    """Whether all its messages are steps."""
    receives: bool = False
    """Whether it uses the peer's code, which works already."""


_TEXT: Final = Kind(
    "recipient",
    sent="secret sent",
    answer=Doubt("receipt: the recipient has it", "the recipient's client refused", by_end=True),
    numbers=False,
)
_FILE: Final = Kind("recipient", numbers=False)
_RECEIVE: Final = Kind("sender", "code used", numbers=False, receives=True)

KINDS: Final[Mapping[str, Kind]] = {
    "provision": _TEXT,
    "provision-file": _FILE,
    "send": _TEXT,
    "send-file": _FILE,
    "receive": _RECEIVE,
    "receive-here": _RECEIVE,
    "tahoe-invite": Kind("client"),
    "ssh-invite": Kind("other side", numbers=False),
    "ssh-accept": Kind(
        "inviter",
        "code used",
        sent="public key sent",
        answer=Doubt("the inviter has added it", "the inviter refused it", by_end=True),
        numbers=False,
        receives=True,
    ),
}
OTHER: Final = Kind()

REPORTS: Final[Mapping[str, tuple[str, Mood] | None]] = {
    "sending: listening": ("offered to the recipient", Mood.PLAIN),
    "sending: chosen": ("connected to the recipient", Mood.PLAIN),
    "sending: queued": ("waits for its turn, behind other files", Mood.PLAIN),
    "sending: moved": None,
    "sending: waiting": ("connection lost; it will be tried again", Mood.BAD),
    "sending: acknowledged": ("receipt: the recipient has confirmed", Mood.PLAIN),
    "sending: broken": ("it cannot go on", Mood.BAD),
    "sending: unconfirmed": ("cut off; the recipient may have it", Mood.BAD),
    "receiving: listening": None,
    "receiving: chosen": ("connected to the sender", Mood.PLAIN),
    "receiving: moved": None,
    "receiving: waiting": ("connection lost; it will be tried again", Mood.BAD),
    "receiving: landed": ("all of it is here", Mood.GOOD),
    "receiving: acknowledged": ("the sender was told", Mood.PLAIN),
    "receiving: broken": ("it cannot go on", Mood.BAD),
}
"""What the transfers of the shipped flows report; None: no step."""

TOLD_AS_IT_IS: Final[Mapping[str, Mood]] = {
    "timer": Mood.PLAIN,
    "aside": Mood.BAD,
    "damaged": Mood.BAD,
    "refused": Mood.BAD,
    "misbehaved": Mood.BAD,
}
"""Kinds of entries that are steps in their own words."""

PEER_SAID: Final = re.compile(r"peer: (?P<phase>.+), (?P<size>\d+) bytes")
MESSAGE: Final = re.compile(r"message (?P<number>\d{1,18})")
SAID_MESSAGE: Final = re.compile(r"message (?P<number>\d{1,18}), (?P<size>\d+) bytes")
TASK: Final = re.compile(r"task (?P<name>.+?): (?P<what>.+)", re.DOTALL)
TRY: Final = re.compile(r"try (?P<number>\d{1,18}) begins")
RETRIED: Final = re.compile(r"retried after (.+), (attempt \d+)", re.DOTALL)
LEFT: Final = "close the mailbox, "
