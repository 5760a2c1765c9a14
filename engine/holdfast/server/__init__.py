"""Servers of the operator's own: a mailbox server, and a transit relay.

The mailbox server is the `magic-wormhole-mailbox-server` package, run inside this process. This
room adds what a waiting code needs: a retention of days instead of minutes, a database that
survives a power cut, and an access log without codes. The relay is the package
`magic-wormhole-transit-relay`, with bounds. The room stands alone: it does not import anything else
of Holdfast.
"""

from holdfast.server.errors import (
    AddressUnusable,
    DatabaseUnusable,
    MailboxServerError,
    PackageMissing,
)
from holdfast.server.relay import RelayService, relay_service
from holdfast.server.service import MailboxService, service

__all__ = [
    "AddressUnusable",
    "DatabaseUnusable",
    "MailboxServerError",
    "MailboxService",
    "PackageMissing",
    "RelayService",
    "relay_service",
    "service",
]
