"""A mailbox server of the operator's own, which remembers for as long as the operator chooses.

The server itself is the `magic-wormhole-mailbox-server` package, run inside this process. This
room adds what a waiting code needs: a retention of days instead of minutes, a database that
survives a power cut, and an access log without codes. It stands alone: it does not import anything
else of Holdfast.
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
