"""The activity "receiving": a receiver's side of `carrying`."""

from __future__ import annotations

import hashlib
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, succeed

from holdfast.flows.activities import Session, activity
from holdfast.flows.shipped.cargo import CannotGoOn, Interrupted, Line, Misbehaved
from holdfast.flows.shipped.carrying import Carrying
from holdfast.flows.shipped.opening import Opened, liked_ciphers, opened, receive_by
from holdfast.flows.shipped.pace import at_most_each_second
from holdfast.flows.shipped.transferring import Receiving
from holdfast.flows.shipped.wording import said
from holdfast.transfer import pumping
from holdfast.transfer.errors import (
    BadArchive,
    LandingError,
    LandingInUse,
    Stopped,
    TargetExists,
    in_words,
)
from holdfast.transfer.landing import Landing, free_name, has_left_something
from holdfast.transfer.names import BadName, shown
from holdfast.transfer.watcher import Watcher
from holdfast.transit.bulk import Bulk
from holdfast.transit.errors import RecordError, WireError
from holdfast.transit.keys import Role

if TYPE_CHECKING:
    from hashlib import _Hash

    from twisted.python.failure import Failure


DISK_IS_FULL: Final = "the disk is full"


@frozen
class Arrived:
    """What came is where it belongs, and its sender can still be told.

    Args:
        path: of the file or folder.
        size: bytes that came.
        sha256: of these bytes; "" if an earlier process has received them from a stock client.
        bulk: the connection; None if it is gone.
    """

    path: Path
    size: int
    sha256: str
    bulk: Bulk | None = field(default=None, repr=False)


@define
class Incoming:
    """What a receiver carries; see `holdfast.flows.shipped.cargo.Cargo`."""

    key: str
    """Names the part file; the same in every life of the flow."""
    role: Role = "receiver"

    def carry(self, wanted: Receiving, line: Line) -> Arrived | None:
        """Receive all that is not here yet, and put it where it belongs."""
        try:
            if wanted.stage == "landed":
                return self._landed_before(wanted, line)
            with closing(self._landing(wanted)) as landing:
                opening = opened(line, self.role)
                bulk = opening.bulk
                if landing.is_kept:  # by a process that died before it could say so
                    raise self._damaged(landing, "what arrived could not be unpacked")
                if landing.landed is not None:
                    return self._landed_unsaid(wanted, line, landing, bulk)
                hasher = self._receive(wanted, line, landing, opening)
                path = self._put(wanted, landing, line)
                return Arrived(path, wanted.offer.size, hasher.hexdigest(), bulk)
        except pumping.Nonsense as error:
            raise Misbehaved(said(error)) from None
        except (WireError, RecordError, Stopped) as error:
            raise Interrupted(said(error)) from None
        except LandingError as error:
            raise Interrupted(said(error)) from None
        except OSError as error:
            raise Interrupted(in_words(error, Path(wanted.target.directory))) from None

    def carried(self, carrying: Carrying, result: Arrived | None) -> None:
        """Once that is durable, tell the sender, and clear up."""
        if result is None:
            carrying.session.report("acknowledged", False)  # noqa: FBT003 - a report has one value
            carrying.hang_up()
            return
        landed = {"path": str(result.path), "size": result.size, "sha256": result.sha256}
        session, wanted = carrying.session, carrying.wanted
        is_written = isinstance(wanted, Receiving) and wanted.stage == "landed"
        told: Deferred[Any] = succeed(None) if is_written else session.report("landed", landed)
        told.addCallback(lambda _: carrying.in_thread(self._acknowledge, wanted, result))
        told.addCallback(partial(session.report, "acknowledged"))
        told.addCallback(lambda _: carrying.hang_up())
        told.addErrback(_failed, session)

    def left_behind(self, wanted: Receiving, reason: str) -> Arrived | None:
        """Say what is here, since the sender, a stock client, cannot go on.

        None if everything is in its place, and that was written down.
        """
        if wanted.stage == "landed":
            self.tidy(wanted)
            return None
        if wanted.stage == "accepted":
            raise CannotGoOn(reason)
        try:
            with closing(self._landing(wanted)) as landing:
                if landing.landed is not None and not landing.is_kept:
                    return Arrived(landing.landed, wanted.offer.size, "")
                arrived = landing.size
                kept = landing.keep() if arrived else None
                landing.discard()
        except LandingInUse:
            # A worker that has lost the flow while it stood still may yet put everything in place.
            raise Interrupted(reason) from None
        except LandingError as error:
            raise CannotGoOn(f"{reason}; {said(error)}") from None
        where = f"; these are kept in {shown(str(kept))}" if kept else ""
        raise CannotGoOn(
            f"the connection ended after {arrived:,} of {wanted.offer.size:,} bytes"
            f" ({reason}){where}. The sender's client cannot go on from there: it must send again,"
            " with a new code"
        )

    def _landed_before(self, wanted: Receiving, line: Line) -> Arrived | None:
        """An earlier process has put everything where it belongs; the sender waits to be told."""
        if not wanted.sha256:
            return self.left_behind(wanted, "")
        opening = opened(line, self.role)
        opening.bulk.go_on_sending(0, opening.sent)
        path = Path(wanted.target.directory) / wanted.target.name
        return Arrived(path, wanted.offer.size, wanted.sha256, opening.bulk)

    def _landed_unsaid(
        self, wanted: Receiving, line: Line, landing: Landing, bulk: Bulk
    ) -> Arrived:
        """The same, but that process did not come to write it down."""
        size, path = wanted.offer.size, landing.landed or landing.target
        if line.resumes:  # it is told through the mailbox
            return Arrived(path, size, wanted.offer.sha256)
        sha256 = landing.digest(size, stop=line.stop)
        return Arrived(path, size, sha256, bulk if sha256 else None)

    def _landing(self, wanted: Receiving) -> Landing:
        try:
            return Landing(Path(wanted.target.directory), wanted.target.name, self.key)
        except BadName as error:
            raise CannotGoOn(said(error)) from None

    def _receive(self, wanted: Receiving, line: Line, landing: Landing, opening: Opened) -> _Hash:
        """Receive the rest; return the digest of all."""
        bulk, size = opening.bulk, wanted.offer.size
        if line.resumes:
            offset = min(wanted.durable, landing.size, size)
        else:
            offset = opening.arrived(landing.size, size)
        landing.truncate(offset)
        hasher = landing.hasher(offset, stop=line.stop)
        if line.resumes:
            liked = liked_ciphers()
            has = {"offset": offset, "sha256": hasher.hexdigest(), "ciphers": liked}
            pumping.send_json(bulk, has)
            answer = pumping.receive_json(bulk)
            begins = answer.get("from")
            if begins != offset:
                if begins != 0:
                    words = "The other side begins in a place that was not agreed on."
                    raise pumping.Nonsense(words)
                offset = 0
                landing.truncate(0)
                hasher = hashlib.sha256()
            receive_by(bulk, answer, liked)
        # From a stock client nothing can be resumed, so nothing need be durable before the end.
        watcher = Watcher(
            stop=line.stop,
            durable=line.moved if line.resumes else None,
            progress=(
                (lambda _: None)
                if line.resumes
                else at_most_each_second(line.moved, line.now, size)
            ),
            full=partial(line.waits, DISK_IS_FULL),
            now=line.now,
            pace=line.pace,
        )
        pumping.receive_all(bulk, landing, hasher, watcher, size=size, offset=offset)
        if wanted.offer.sha256 and hasher.hexdigest() != wanted.offer.sha256:
            landing.discard()
            raise CannotGoOn("what arrived is not what was offered: it has changed meanwhile")
        return hasher

    def _put(self, wanted: Receiving, landing: Landing, line: Line) -> Path:
        """Put what was received where it belongs.

        If something has the name by now, another one is taken: nothing that came is lost for that.
        """
        offer = wanted.offer
        try:
            while True:
                with suppress(TargetExists):
                    if offer.kind == "file":
                        return landing.finish_file(overwrite=wanted.target.overwrite)
                    return landing.unpacked(files=offer.files, total=offer.total, stop=line.stop)
                landing.name = free_name(landing.directory, landing.name)
        except BadArchive as error:
            raise self._damaged(landing, said(error)) from None

    def _damaged(self, landing: Landing, why: str) -> CannotGoOn:
        """What came is of no use: let a person see it."""
        kept = landing.keep(".zip")
        landing.discard()
        return CannotGoOn(f"{why}; it is kept as {shown(str(kept))}")

    def _acknowledge(self, wanted: Receiving, result: Arrived) -> bool:
        """In the thread: tell the sender, and return whether it can have heard."""
        self.tidy(wanted)
        if result.bulk is None:
            return False
        try:
            pumping.send_json(result.bulk, {"ack": "ok", "sha256": result.sha256})
        except WireError:
            return False
        return True

    def clear(self, wanted: Receiving, failed: bool) -> None:  # noqa: FBT001 - for a thread
        """Keep what came from a stock client before something failed; remove all that is hidden.

        Another Holdfast was told that it is over, and nothing could go on from there.
        """
        if wanted.stage == "reachable":
            return
        if not has_left_something(Path(wanted.target.directory), self.key):
            return  # to open a landing makes a part file, which stays if this process ends just now
        with suppress(LandingError), closing(self._landing(wanted)) as landing:
            if failed and not wanted.reach.resumes and landing.landed is None and landing.size:
                landing.keep()
            landing.discard()

    def tidy(self, wanted: Receiving) -> bool:
        """In the thread: remove what an ended transfer has left; return that nobody was told."""
        with closing(self._landing(wanted)) as landing:
            landing.discard()
        return False


def _failed(failure: Failure, session: Session) -> None:
    if failure.value is not None:
        session.failed(failure.value)


@activity("receiving")
def begin(session: Session) -> Carrying:
    """Begin to receive for one flow."""
    return Carrying(session, Incoming(session.key))
