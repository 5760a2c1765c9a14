"""What can go wrong with a journal, one class for each thing that a caller does something about.

Every message is one line that an operator can read. None holds a password, a key or a secret.
"""


class JournalError(Exception):
    """The root of everything that this package raises on purpose."""


class DatabaseUnusable(JournalError):
    """The database cannot be reached, opened or written; nothing was changed."""


class DatabaseAway(DatabaseUnusable):
    """For now: full, locked, unreachable. The same may succeed later. `why` is a part of it."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


class DatabaseMoved(DatabaseUnusable):
    """The file of the database, or its log, is not the one that was opened: this process must end.

    What it committed last may be lost, and nothing that it writes from now on would be found.
    """


class NewerSchema(DatabaseUnusable):
    """The database was made by a newer release than this one."""


class OlderSchema(DatabaseUnusable):
    """The database was made by an older release, and is not upgraded without being asked."""


class AlreadyServed(JournalError):
    """Another process is the service of this database, which has room for one."""


class WrongKey(JournalError):
    """The master key is missing, malformed, or not the one that sealed this database."""


class Unreadable(JournalError):
    """A sealed value is not what was written at its place: altered, moved, or of another flow."""


class Shredded(Unreadable):
    """The value's data key was deleted when its flow ended; nobody can read it any more."""


class NoSuchFlow(JournalError):
    """No flow has that name (or several have it and no batch was given)."""


class NotRetryable(JournalError):
    """The flow is still under way, or went well, or its parameters were shredded."""


class CommitFailed(JournalError):
    """A commit failed for good: nothing of it was written, nothing of it was released."""


class Fenced(CommitFailed):
    """Somebody else has the flow now: its epoch or seq in the database is not the expected one."""


class JournalBroken(JournalError):
    """The disk failed under the database: stop the process and start again from what is on disk."""


class JournalStopped(JournalError):
    """The journal was stopped (or is broken) and takes nothing more."""
