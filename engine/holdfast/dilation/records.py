"""The records that travel in frames (dilation-protocol.md, as stock 0.24 writes them); pure.

A record is one byte that tells its type, then numbers of 32 bits in big-endian order. Records that
open, fill and close channels carry a channel number (`scid`) and a sequence number (`seq`), and
are acknowledged by it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, TypeAlias

from attrs import define, field, frozen

from holdfast.dilation.errors import ProtocolError

KCM, PING, PONG, OPEN, DATA, CLOSE, ACK = range(7)

HEAD: Final = Struct(">BII")
"""Type, channel number and sequence number."""

NUMBER: Final = Struct(">BI")
"""Type, and one number."""

ID_LENGTH: Final = 4
"""Bytes of what tells one ping from another."""

LONGEST_NAME: Final = 256
"""Bytes of the longest name of a subprotocol that we accept. Stock has no limit.

The names of all open channels are saved in each commit."""


@frozen
class Kcm:
    """The sender has the key of this connection ("key confirmation message")."""


@frozen
class Ping:
    """Answer with a `Pong` of the same `id`, 4 bytes."""

    id: bytes


@frozen
class Pong:
    """The answer to a `Ping`."""

    id: bytes


@frozen
class Open:
    """A new channel, for the subprotocol `name`."""

    scid: int
    seq: int
    name: str


@define
class Data:
    """What was written to a channel in one call.

    There are tens of thousands for each gigabyte, and it takes six times as long to make a frozen
    one. It is never changed all the same.
    """

    scid: int
    seq: int
    data: bytes = field(repr=False)


@frozen
class Close:
    """The sender writes no more to this channel."""

    scid: int
    seq: int


@frozen
class Ack:
    """The sender has taken the record `seq`, and all before it."""

    seq: int


CUT_SHORT: Final = "a record that is cut short"

Record: TypeAlias = Kcm | Ping | Pong | Open | Data | Close | Ack


def write(record: Record) -> bytes:
    """`record` as a plaintext for a frame.

    Numbers have at most 32 bits, an `id` has 4 bytes.
    """
    if isinstance(record, Data):  # most of them are, and a pattern takes longer
        return HEAD.pack(DATA, record.scid, record.seq) + record.data
    match record:
        case Ack(seq):
            return NUMBER.pack(ACK, seq)
        case Open(scid, seq, name):
            return HEAD.pack(OPEN, scid, seq) + name.encode()
        case Close(scid, seq):
            return HEAD.pack(CLOSE, scid, seq)
        case Ping(id_):
            return bytes((PING,)) + id_
        case Pong(id_):
            return bytes((PONG,)) + id_
        case Kcm():
            return bytes((KCM,))


def read(plaintext: bytes) -> Record:
    """The record that `plaintext` holds; what follows a record of fixed length is ignored.

    Raises:
        ProtocolError: it is of an unknown type, too short, or a name is too long or not UTF-8.
    """
    kind = plaintext[0] if plaintext else None
    if kind == DATA and len(plaintext) >= HEAD.size:
        _, scid, seq = HEAD.unpack_from(plaintext)
        return Data(scid, seq, plaintext[HEAD.size :])
    if kind == ACK:
        return Ack(_unpack(NUMBER, plaintext)[1])
    if kind == CLOSE:
        return Close(*_unpack(HEAD, plaintext)[1:])
    if kind == OPEN:
        _, scid, seq = _unpack(HEAD, plaintext)
        return Open(scid, seq, _name(plaintext[HEAD.size :]))
    if kind in (PING, PONG):
        _unpack(NUMBER, plaintext)
        id_ = plaintext[1 : 1 + ID_LENGTH]
        return Ping(id_) if kind == PING else Pong(id_)
    if kind == KCM:
        return Kcm()
    if kind == DATA:
        raise ProtocolError(CUT_SHORT)
    raise ProtocolError("an empty record" if kind is None else f"a record of type {kind}")


def _unpack(head: Struct, plaintext: bytes) -> tuple[int, ...]:
    if len(plaintext) < head.size:
        raise ProtocolError(CUT_SHORT)
    return head.unpack_from(plaintext)


def _name(raw: bytes) -> str:
    if len(raw) > LONGEST_NAME:
        raise ProtocolError(f"a subprotocol's name of {len(raw)} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ProtocolError("a subprotocol's name that is not UTF-8") from None
