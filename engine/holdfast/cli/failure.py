"""How the command line says that something is wrong.

An expected error is one line on standard error, `holdfast: what, where, what to do`, and an exit
status: 2 if nothing was started, 1 if something ran and not all of it succeeded. Commands that run
flows end as the flows do, even if their output cannot be written. The others end with 1 if it
cannot be written, and as other programs do if the reader has closed the pipe. An unexpected error
stays an exception with Python's traceback, which shows no variables.
"""

import contextlib
import errno
import signal
import sys
from collections.abc import Iterator
from typing import IO, Any

import click

from holdfast.cli import say, streams
from holdfast.cli.channel import Level
from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused, Stopped

_LONGEST_MESSAGE = 2000
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Failure(click.ClickException, Refused):
    """Nothing was started, as a `Refused`. Exit status 2."""

    exit_code = 2
    _level: Level = "error"

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the one line to standard error."""
        message = printable(self.message, _LONGEST_MESSAGE)
        line = f"holdfast: {message}"
        if file is None:
            keys = {"exit_status": self.exit_code}
            say.log("ended", message, level=self._level, shown=line, keys=keys)
        else:
            click.echo(line, file=file)


class Unfinished(Failure):
    """Something ran, and not everything succeeded. Exit status 1."""

    exit_code = 1


class Left(Failure):
    """An operator asked this worker to leave, so it is not to be started again. Exit status 3."""

    exit_code = 3
    _level = "info"


class Interrupted(Failure):
    """Ctrl-C in a command that has no better answer to it. The exit status is a shell's."""

    exit_code = 128 + signal.SIGINT
    _level = "info"

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the one line, over the ^C that a terminal shows."""
        if file is None and sys.stderr.isatty():
            say.err("\r", end="")
        super().show(file)


class NobodyReads(Failure):
    """The reader of standard output has closed the pipe. The exit status is a shell's."""

    exit_code = 128 + signal.SIGPIPE

    def __init__(self) -> None:
        super().__init__("standard output is closed")

    def show(self, file: IO[Any] | None = None) -> None:
        """Say nothing: the reader has closed the pipe on purpose."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn click's own errors, Ctrl-C, a full disk and the journal's errors into one line each.

    Raises `Failure`.
    """
    try:
        yield
    except (Failure, click.exceptions.NoArgsIsHelpError):
        raise
    except Stopped as stopped:
        raise Unfinished(stopped.words) from None
    except Refused as refused:
        raise Failure(refused.words) from None
    except click.UsageError as error:
        raise Failure(_usage(error)) from None
    except click.ClickException as error:
        raise Failure(error.format_message()) from None
    except OSError as error:
        output = streams.refused()
        if output is not None:
            if output.errno == errno.EPIPE:
                raise NobodyReads from None
            raise Unfinished(f"standard output: {output.strerror}") from None
        if error.errno not in _NO_SPACE:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        raise Unfinished(f"{where}{error.strerror}") from None
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    except Exception as error:
        # Imported already if such an error was raised; `--help` does not import it.
        journal = sys.modules.get("holdfast_journal.errors")
        if journal is None or not isinstance(error, journal.JournalError):
            raise
        said = str(error)
        if isinstance(error, journal.WrongKey) and "HOLDFAST_KEY" not in said:
            said += "; HOLDFAST_KEY_FILE names the file of the key"
        raise Failure(said) from None


def _usage(error: click.UsageError) -> str:
    meant = getattr(error, "possibilities", None) or ()
    # click's own text puts the suggestion into brackets, where ours begin.
    said = (error.message if meant else error.format_message()).strip().removesuffix(".")
    said = said[:1].lower() + said[1:]
    if meant:
        said += f"; did you mean {' or '.join(map(repr, sorted(meant)))}?"
    command = error.ctx.command_path if error.ctx is not None else "holdfast"
    return f"{said} (see '{command} --help')"
