"""A model of the mailbox server, without sockets, clock or randomness of its own."""

from holdfast.testing.server.line import Line
from holdfast.testing.server.mailbox_server import EXPIRY, PERIOD, MailboxServer
from holdfast.testing.server.tables import Mailbox, Message, Nameplate, Tables

__all__ = [
    "EXPIRY",
    "PERIOD",
    "Line",
    "Mailbox",
    "MailboxServer",
    "Message",
    "Nameplate",
    "Tables",
]
