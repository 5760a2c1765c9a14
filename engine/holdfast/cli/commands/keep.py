"""`holdfast keep`: hold the connections of transfers while their processes are started again."""

from __future__ import annotations

import os
from pathlib import Path

import click

from holdfast.cli import say
from holdfast.cli.channel import log_format_option
from holdfast.cli.failure import Failure
from holdfast.operating.keeper import MOST
from holdfast.operating.keepers import VARIABLE, default_socket


@click.command()
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    envvar=VARIABLE,
    default=default_socket,
    show_default="keeper in your state directory",
    show_envvar=True,
    help="Where it listens; workers must have the same path.",
)
@click.option(
    "--most",
    type=click.IntRange(min=1, max=100_000),
    metavar="N",
    default=MOST,
    show_default=True,
    help="Hold at most N connections.",
)
@log_format_option
def command(path: Path, most: int) -> None:
    """Hold connections while their processes are started again.

    If a command dies, or is stopped, in the middle of a file, its connection to a stock client
    lives on here, and the same command goes on with it as soon as it is started again. Under
    systemd, a worker's unit does the same without this process. Linux only.
    """
    from holdfast.operating.keeper import KeepingProcess, keep_until_stopped, listen
    from holdfast.operating.limits import raise_open_files_limit
    from holdfast.operating.printable import printable
    from holdfast.operating.supervising import Manager

    raise_open_files_limit()
    try:
        listening = listen(path)
    except FileExistsError:
        raise Failure(f"there is something already at {printable(str(path))}") from None
    except (OSError, AttributeError) as error:
        why = getattr(error, "strerror", None) or "this system cannot"
        raise Failure(f"cannot listen at {printable(str(path))}: {why}") from None
    where = f"keeping connections: {printable(str(path))}"
    say.log("listening", where, out=True, keys={"address": str(path)})
    manager = Manager.taken_from(os.environ, os.getpid())
    manager.tell("READY=1")
    keep_until_stopped(KeepingProcess(listening, most), path)
