"""What can keep a mailbox server from running; each message is one line for its operator."""


class MailboxServerError(Exception):
    """The mailbox server cannot run; the text says why, in one line."""


class PackageMissing(MailboxServerError):
    """The server's package, an optional extra, is not installed."""

    def __init__(self) -> None:
        super().__init__("the mailbox server's package is missing: pip install 'holdfast[mailbox]'")


class AddressUnusable(MailboxServerError):
    """The address to listen on is malformed, taken, or not one of this machine."""


class DatabaseUnusable(MailboxServerError):
    """The database file cannot be opened, made, written, or is not a mailbox server's."""
