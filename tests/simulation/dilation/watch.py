"""What must hold of our own ends, looked at from outside: from what is committed, and what leaves.

- No record leaves before the commit that holds it, and none is acknowledged before the commit that
  holds its effect.
- A number stands for one record, in all lives of all processes.
- `please` is said once; each `reconnect` is answered once, and no second one is said before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.dilation.noise import Cipher
from holdfast.dilation.records import Ack, Close, Data, Open, read
from holdfast.shell.dilating import Dilating
from tests.simulation.dilation.ours import Ours
from tests.simulation.threads import running_process

if TYPE_CHECKING:
    from tests.simulation.dilation.world import End, World


class Watch:
    """The eyes of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._records: dict[tuple[int, int], bytes] = {}
        """What each number of each end stands for."""

    def leaves(self, end: End, plaintext: bytes) -> None:
        """An end of ours encrypts a record."""
        record = read(plaintext)
        saved = end.saved
        assert saved is not None
        if isinstance(record, Ack) and record.seq > saved.highest_in:
            self._world.violate(
                f"{end.name} acknowledges record {record.seq}, whose effect is not durable"
            )
        elif isinstance(record, Open | Data | Close):
            if record.seq >= saved.next_out:
                self._world.violate(f"{end.name} sends record {record.seq}, which is not durable")
            if self._records.setdefault((end.number, record.seq), plaintext) != plaintext:
                self._world.violate(f"{end.name} sends two things as record {record.seq}")

    def committed(self, end: End) -> None:
        """An end of ours has committed something."""
        assert end.saved is not None
        said, heard = end.saved.rows["said"], end.saved.rows["heard"]
        if said.count("please") > 1:
            self._world.violate(f"{end.name} says please twice")
        if said.count("reconnecting") > heard.count("reconnect"):
            self._world.violate(f"{end.name} says reconnecting, and nobody asked")
        if said.count("reconnect") > heard.count("reconnecting") + 1:
            self._world.violate(f"{end.name} says reconnect twice")

    def check_end(self, end: End) -> None:
        """Everything is over."""
        if end.saved is not None:
            said, heard = end.saved.rows["said"], end.saved.rows["heard"]
            if said.count("reconnecting") != heard.count("reconnect"):
                self._world.violate(f"{end.name} has not answered each reconnect")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what our ends say, in the mailbox and on connections."""
        encrypt, say, heard = Cipher.encrypt, Dilating.say, Dilating.heard

        def seen(cipher: Cipher, plaintext: bytes | memoryview) -> bytes:
            process = running_process()
            if isinstance(process, Ours):
                self.leaves(process.end, bytes(plaintext))
            return encrypt(cipher, plaintext)

        Cipher.encrypt = seen  # type: ignore[method-assign]
        Dilating.say = _noting("said", say)  # type: ignore[method-assign]
        Dilating.heard = _noting("heard", heard)  # type: ignore[method-assign]
        try:
            yield
        finally:
            Cipher.encrypt = encrypt  # type: ignore[method-assign]
            Dilating.say, Dilating.heard = say, heard  # type: ignore[method-assign]


def _noting(where: str, real: Callable[..., None]) -> Callable[..., None]:
    """Have the kinds of messages among the rows of the present entry."""

    def note(dilating: Any, body: bytes) -> None:
        process = running_process()
        assert isinstance(process, Ours)
        kind = json.loads(body)["type"]
        if kind != "connection-hints":
            process.say(f"{'says' if where == 'said' else 'hears'} {kind}")
            process.rows[where].append(kind)
        real(dilating, body)

    return note
