"""The activity "sending": a sender's side of `carrying`."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from attrs import define, field

from holdfast.flows.activities import Session, activity
from holdfast.flows.shipped import private
from holdfast.flows.shipped.cargo import CannotGoOn, Interrupted, Line, MayHaveIt, Misbehaved
from holdfast.flows.shipped.carrying import Carrying
from holdfast.flows.shipped.opening import opened, taken_cipher
from holdfast.flows.shipped.pace import at_most_each_second
from holdfast.flows.shipped.transferring import Sending
from holdfast.flows.shipped.wording import said
from holdfast.transfer import pumping, sources
from holdfast.transfer.errors import Stopped
from holdfast.transfer.watcher import Watcher
from holdfast.transit.bulk import FRONT, ROOM, Bulk, bytes_of_records
from holdfast.transit.errors import RecordError, WireError
from holdfast.transit.keys import Role


@define
class Outgoing:
    """What a sender carries; see `holdfast.flows.shipped.cargo.Cargo`."""

    role: Role = "sender"
    sent: bool | None = field(default=None, init=False)
    """Whether this process has sent everything; None if it has not begun."""

    def carry(self, wanted: Sending, line: Line) -> str:
        """Send all that the receiver lacks; return the digest that it acknowledges."""
        size = wanted.source.size
        progress = at_most_each_second(line.moved, line.now, size)
        watcher = Watcher(stop=line.stop, progress=progress, now=line.now, pace=line.pace)
        try:
            opening = opened(line, self.role)
            bulk, before = opening.bulk, opening.sent
            if not before or before < bytes_of_records(size):
                self._send(wanted, line, bulk, watcher, before)
            else:  # by an earlier process; what became of its source since then does not matter
                bulk.go_on_sending(*divmod(before, FRONT + ROOM))
            self.sent = True
            acknowledged = pumping.receive_ack(bulk, watcher, size=size)
        except (sources.SourceError, pumping.SourceTooShort) as error:
            raise CannotGoOn(said(error)) from None
        except pumping.Nonsense as error:
            raise Misbehaved(said(error)) from None
        except (WireError, RecordError, Stopped) as error:
            raise Interrupted(said(error)) from None
        # Some say only that all is well, and leave it to us to believe it.
        well = acknowledged.get("ack") == "ok"
        return str(acknowledged.get("sha256", wanted.source.sha256)) if well else ""

    def carried(self, carrying: Carrying, result: Any) -> None:
        """The receiver has said what it has."""
        carrying.session.report("acknowledged", result)

    def left_behind(self, wanted: Sending, reason: str) -> str:
        """Say what the other side, a stock client, can have by now."""
        size, moved = wanted.source.size, wanted.moved
        if wanted.stage != "going":
            raise CannotGoOn(reason)
        if self.sent or moved >= size:
            raise MayHaveIt(
                f"everything was sent, but the recipient has not confirmed it ({reason}): ask"
                " whether it is there"
            )
        if self.sent is None:
            # What has left since that was written down, the operating system has sent.
            raise MayHaveIt(
                f"at least {moved:,} of {size:,} bytes were sent ({reason}), and the recipient's"
                " client cannot go on from there: ask whether everything is there, and if not,"
                " send it again, with a new code"
            )
        raise CannotGoOn(
            f"the connection ended after about {moved:,} of {size:,} bytes ({reason}), and the"
            " recipient's client cannot go on from there: send it again, with a new code"
        )

    def clear(self, wanted: Sending, failed: bool) -> None:  # noqa: FBT001 - for a thread
        """Remove a private file. Nothing else that a sender has is in anybody's way."""
        if wanted.place:
            private.remove(wanted.place)

    def _send(self, wanted: Sending, line: Line, bulk: Bulk, watcher: Watcher, before: int) -> None:
        """Send what the receiver lacks, when an earlier process has sent `before` bytes."""
        size = wanted.source.size
        with closing(sources.open_source(wanted.paths, wanted.source, stop=line.stop)) as stream:
            number, sent = divmod(before, FRONT + ROOM)
            offset = number * ROOM
            if line.resumes:
                offset = self._agree(wanted, stream, bulk, line)
            elif before:
                stream.seek(offset)
                bulk.go_on_sending(number, sent)
            self.sent = False
            pumping.send_all(bulk, stream, watcher, size=size, offset=offset)

    def _agree(self, wanted: Sending, stream: sources.Stream, bulk: Bulk, line: Line) -> int:
        """Return the offset from which the receiver, another Holdfast, needs the rest."""
        has = pumping.receive_json(bulk)
        offset, digest = has.get("offset"), has.get("sha256")
        if type(offset) is not int or not 0 <= offset <= wanted.source.size:
            raise pumping.Nonsense("The other side says that it has what there is not.")
        # If it has something else, the source being as it was, then its disk lost something.
        if offset and sources.digest_of(stream, offset, stop=line.stop) != digest:
            offset = 0
        stream.check()
        stream.seek(offset)
        cipher = taken_cipher(has.get("ciphers"))
        pumping.send_json(bulk, {"from": offset, **cipher})
        if cipher:
            bulk.send_by_aes()
        return offset


@activity("sending")
def begin(session: Session) -> Carrying:
    """Begin to send for one flow."""
    return Carrying(session, Outgoing())
