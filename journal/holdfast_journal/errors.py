"""What can go wrong with a journal, one class for each error that a caller handles differently.

Every message is one line that an operator can read, without a password, a key or a secret.
"""


class JournalError(Exception):
    """The base class of everything that this package raises on purpose."""


class DatabaseUnusable(JournalError):
    """The database cannot be reached, opened or written; nothing was changed."""


class DatabaseAway(DatabaseUnusable):
    """Unusable for now: full, locked, unreachable. A retry may succeed. The text contains `why`."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


class DatabaseMoved(DatabaseUnusable):
    """The database's file, or its log, is not the one that was opened: this process must end.

    What it committed last may be lost, and nothing that it writes from now on would be found.
    """


class NewerSchema(DatabaseUnusable):
    """The database was made by a newer release than this one."""


class OlderSchema(DatabaseUnusable):
    """The database was made by an older release, and is only upgraded if that is asked for."""


class AlreadyServed(JournalError):
    """Another process is the service of this database, which has room for one."""


class WrongKey(JournalError):
    """The master key is missing, malformed, or not the one that sealed this database."""


class Unreadable(JournalError):
    """A sealed value is not what was written in its place: altered, moved, or of another flow."""


class Shredded(Unreadable):
    """The value's data key was deleted when its flow ended; it cannot be read any more."""


class NoSuchFlow(JournalError):
    """No flow has that name (or several have it and no batch was given)."""


class NotRetryable(JournalError):
    """The flow has not ended, or ended well, or its parameters were shredded."""


class CommitFailed(JournalError):
    """A commit failed for good: nothing was written, and its outbound calls were not released."""


class Fenced(CommitFailed):
    """Another worker has the flow now: its epoch or seq in the database is not the expected one."""


class JournalBroken(JournalError):
    """The disk failed under the database: stop the process and start again from what is on disk."""


class JournalStopped(JournalError):
    """The journal was stopped (or is broken), and accepts nothing more."""


class TokenExists(JournalError):
    """A token of that name was made before."""
