"""A mailbox server of the operator's own, with a memory as long as its operator chooses.

The server itself is the `magic-wormhole-mailbox-server` package, run inside this process;
this room adds what a waiting code needs: a retention of days instead of minutes, a database
that survives a power cut, and an access log without codes in it.
It stands alone: nothing else of Holdfast is imported here.
"""

from holdfast.server.errors import (
    AddressUnusable,
    DatabaseUnusable,
    MailboxServerError,
    PackageMissing,
)
from holdfast.server.service import MailboxService, service

__all__ = [
    "AddressUnusable",
    "DatabaseUnusable",
    "MailboxServerError",
    "MailboxService",
    "PackageMissing",
    "service",
]
