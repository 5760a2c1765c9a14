"""From what went wrong to an HTTP status and words; nothing else of an exception is shown."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.console.answers import Wrong
from holdfast.operating.refused import Refused
from holdfast_journal import DatabaseUnusable, JournalError, NoSuchFlow, NotRetryable


def as_wrong(error: Exception, log: Logger) -> Wrong:
    """Return what is to be answered."""
    match error:
        case Wrong():
            return error
        case Refused():
            return Wrong(400, sentence(error.words))
        case NoSuchFlow():
            return Wrong(404, "There is no such flow.")
        case NotRetryable():
            return Wrong(409, sentence(str(error)))
        case DatabaseUnusable():
            return Wrong(503, sentence(str(error)), headers=[("Retry-After", "5")])
        case JournalError():
            return Wrong(500, sentence(str(error)))
    log.failure("the console failed at a request", Failure(error))
    return Wrong(500, "Something is wrong with this console; its log says where.")


def sentence(words: str) -> str:
    """Return words as a sentence."""
    words = words[:1].upper() + words[1:]
    return words if words.endswith((".", "?", "!")) else words + "."
