"""What follows from a transit key: the lines of the handshake, and the keys of the records.

Specified in transit.md, "Transit Negotiation" and "Record encryption"; pure.
"""

from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from holdfast.crypto import derive

Role: TypeAlias = Literal["sender", "receiver"]
"""Who sends the file, whoever dials whom."""

GO: Final = b"go\n"
"""What a sender says on the connection that it has chosen."""

KEY_LENGTH: Final = 32
SALT_LENGTH: Final = 32
"""Bytes of the randomness that each side adds to the keys of one connection."""


@frozen
class TransitKeys:
    """Everything that two sides derive from a key that they share (32 bytes).

    Raises:
        ValueError: the key has another length.
    """

    key: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if len(self.key) != KEY_LENGTH:
            raise ValueError(f"a transit key has {KEY_LENGTH} bytes, not {len(self.key)}")

    @property
    def relay_token(self) -> str:
        """What a relay finds the two sides by, in hexadecimal."""
        return self._hex("transit_relay_token")

    @property
    def sender_line(self) -> bytes:
        """What the sender says first."""
        return f"transit sender {self._hex('transit_sender')} ready\n\n".encode()

    @property
    def receiver_line(self) -> bytes:
        """What the receiver says first."""
        return f"transit receiver {self._hex('transit_receiver')} ready\n\n".encode()

    def choosing(self, role: Role) -> tuple[bytes, bytes]:
        """What `role` says when it chooses a connection, and what it hears before the records."""
        return (GO, b"") if role == "sender" else (self.receiver_line, GO)

    def relay_line(self, side: str) -> bytes:
        """What a relay is told first; `side` is 16 hexadecimal digits, another for each side."""
        return f"please relay {self.relay_token} for side {side}\n".encode()

    def record_key(self, role: Role) -> bytes:
        """The key (32 bytes) of the records that `role` sends."""
        return derive(self.key, f"transit_record_{role}_key", KEY_LENGTH)

    def fresh(self, sender_salt: bytes, receiver_salt: bytes) -> "TransitKeys":
        """The keys of one connection out of several, on none of which a nonce is used twice.

        Between two Holdfasts only: other clients have one connection, and know no salts.

        Raises:
            ValueError: a salt does not have 32 bytes.
        """
        if not len(sender_salt) == len(receiver_salt) == SALT_LENGTH:
            raise ValueError(f"a salt has {SALT_LENGTH} bytes")
        purpose = b"holdfast transit connection:" + sender_salt + receiver_salt
        return TransitKeys(derive(self.key, purpose, KEY_LENGTH))

    def _hex(self, purpose: str) -> str:
        return derive(self.key, purpose, KEY_LENGTH).hex()
