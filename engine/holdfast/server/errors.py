"""What can keep a server of one's own from running; each message is one line for its operator."""

from holdfast_journal import install


class MailboxServerError(Exception):
    """The mailbox server, or the transit relay, cannot run; the text says why, in one line."""


class PackageMissing(MailboxServerError):
    """The server's package, an optional extra, is not installed."""

    def __init__(self, server: str = "mailbox server", extra: str = "mailbox") -> None:
        super().__init__(f"the {server}'s package is missing: {install(extra)}")


class AddressUnusable(MailboxServerError):
    """The address to listen on is malformed, taken, or not one of this machine."""


class DatabaseUnusable(MailboxServerError):
    """The database file cannot be opened, made, written, or is not a mailbox server's."""
