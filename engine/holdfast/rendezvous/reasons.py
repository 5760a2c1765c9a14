"""Why a connection ended, in one line that is safe to print."""

from twisted.internet import error
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig
from websockets.frames import Close, CloseCode

from holdfast.rendezvous.boundaries import Fault

LONGEST = 200
"""Characters of a text from the other end that are kept."""


def printable(text: str) -> str:
    """`text` from the other end, shortened, and without anything that a terminal would obey."""
    kept = "".join(letter if letter.isprintable() else "?" for letter in text[: LONGEST + 1])
    return kept if len(kept) <= LONGEST else kept[:LONGEST] + "..."


def of_failure(failure: Failure) -> str:
    """Why a connection was lost or failed, from Twisted's reason."""
    problem = failure.value
    if problem is None:
        return "for no known reason"
    origin = type(problem).__module__.partition(".")[0]
    if origin == "OpenSSL":
        return f"TLS failed: {_of_openssl(problem)}"
    if origin == "service_identity":
        return "TLS failed: the server's certificate is for another name"
    if isinstance(problem, error.ConnectionDone):
        return "the server cut the connection"
    if isinstance(problem, error.ConnectionLost):
        return "the connection was lost"
    if isinstance(problem, error.DNSLookupError):
        return "the server's name cannot be found"
    if isinstance(problem, error.ConnectionRefusedError):
        return "the server refuses connections"
    if isinstance(problem, error.TimeoutError | error.TCPTimedOutError):
        return "the server does not answer"
    return printable(str(problem)) or type(problem).__name__


def _of_openssl(problem: BaseException) -> str:
    # OpenSSL's errors carry a list of (library, function, reason).
    try:
        return printable(str(problem.args[0][0][2]))
    except (IndexError, TypeError):
        return type(problem).__name__


def of_handshake(problem: Exception) -> str:
    """Why the answer to our WebSocket handshake was not acceptable."""
    if isinstance(problem, InvalidStatus):
        response = problem.response
        said = f"{response.status_code} {response.reason_phrase}".strip()
        return f"no mailbox server there: the answer is HTTP {printable(said)}"
    return f"no mailbox server there: {printable(str(problem))}"


def of_parser(problem: Exception) -> str:
    """Why the data on an open WebSocket could not be understood."""
    if isinstance(problem, PayloadTooBig):
        return "the server sent a message that is too long"
    if isinstance(problem, UnicodeError):
        return "the server sent a message that is not UTF-8"
    return f"the server broke the WebSocket protocol: {printable(str(problem))}"


def of_close(close: Close) -> str:
    """What the server said when it closed."""
    said = f": {printable(close.reason)}" if close.reason else ""
    return f"the server closed the connection ({int(close.code)}{said})"


def fault_of(protocol: ClientProtocol | None) -> Fault | None:
    """What was wrong with a message that passed over an open connection, if that ended it."""
    if protocol is None or protocol.handshake_exc is not None:
        return None
    said, heard = protocol.close_sent, protocol.close_rcvd
    if protocol.parser_exc is not None or (said and said.code == CloseCode.INVALID_DATA):
        return Fault.UNACCEPTABLE
    if heard is not None and heard.code == CloseCode.MESSAGE_TOO_BIG:
        return Fault.TOO_LONG_FOR_THEM
    return None
