"""The options that say who gets a secret, and where the secrets come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.operating.finding import DEFAULT_BATCH

_OPTIONS = (
    click.option(
        "--name-column", default="name", show_default=True, help="The column with the names."
    ),
    click.option(
        "--secret-column", default="secret", show_default=True, help="The column with the secrets."
    ),
    click.option(
        "--mint",
        metavar="COMMAND",
        help="Make each secret when its recipient is there and has proved the code: it is the"
        " standard output of COMMAND, run without a shell, less the final line end. {name} in its"
        " arguments is the person's name, and so is the environment variable HOLDFAST_NAME;"
        " HOLDFAST_IDEMPOTENCY_KEY is the same at every retry.",
    ),
    click.option(
        "--mint-timeout",
        "mint_seconds",
        type=Duration(),
        metavar="DURATION",
        show_default="60s",
        help="If COMMAND has not ended after this long, kill it and everything that it started, and"
        " try again later.",
    ),
    click.option(
        "--batch",
        default=DEFAULT_BATCH,
        show_default=True,
        help="The batch to put the flows in. A name is unique within its batch.",
    ),
)


def people_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--name-column`, `--secret-column`, `--mint`, `--mint-timeout` and `--batch`.

    The command gets `name_column: str`, `secret_column: str`, `mint: str | None`,
    `mint_seconds: float | None` and `batch: str`.
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def warn_of_readers(people: Path | str) -> None:
    """Warn if every user of this machine can read a people file; standard input is a text."""
    from holdfast.operating.exposure import warning

    if isinstance(people, Path) and (said := warning(people)) is not None:
        say.tell(said)
