"""For tests of what uses Holdfast: everything that it meets, in memory."""

from holdfast.testing.server import MailboxServer

__all__ = ["MailboxServer"]
