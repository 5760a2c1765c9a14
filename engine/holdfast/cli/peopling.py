"""The options that say who gets a secret, and where the secrets come from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click
from attrs import frozen

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.ways import AskedWays, shared_ways_options
from holdfast.operating.exchanges import EXCHANGES
from holdfast.operating.finding import DEFAULT_BATCH
from holdfast.operating.handing import NO_FILES, AskedFiles, check_files
from holdfast.operating.minting import (
    FILE_PLACEHOLDER,
    PLACEHOLDER,
    mint_seconds_from,
    parse_command,
)
from holdfast.operating.people import FileColumn, Person, read_people

_OPTIONS = (
    click.option(
        "--name-column", default="name", show_default=True, help="The column with the names."
    ),
    click.option(
        "--secret-column", default="secret", show_default=True, help="The column with the secrets."
    ),
    click.option(
        "--file-column",
        metavar="NAME",
        show_default="file, if it is there",
        help="The column with the paths of files and folders, for those who get one instead of a"
        " secret. A path is relative to the directory of the people file.",
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
        "--mint-file",
        metavar="COMMAND",
        help="Make each file when its recipient is there: COMMAND, run like that of --mint, writes"
        " it to the path in {file}, or in the environment variable HOLDFAST_FILE: an empty file"
        " that only you can read, and that is gone when the exchange is over.",
    ),
    click.option(
        "--file-name",
        metavar="NAME",
        help="What a file is called at the other end; {name} in it is the person's name. By"
        " default, a file has its own name, and one that --mint-file makes the person's.",
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


@frozen
class AskedPeople:
    """Who gets what, as it was asked for.

    Args:
        name_column: the column with the names.
        secret_column: the column with the secrets.
        files: the column with the paths of files.
        minting: the words of the command that makes what each person gets; None if there is none.
        mint_timeout: seconds that it may take.
        minted_file: whether it makes a file.
        file_name: what a file is called at the other end, `{name}` being the person.
        ways: how a file reaches its recipient.
    """

    name_column: str
    secret_column: str
    files: FileColumn
    minting: Sequence[str] | None
    mint_timeout: float
    minted_file: bool
    file_name: str | None
    ways: AskedWays

    @property
    def has_secrets(self) -> bool:
        """Whether the people file may hold secrets."""
        return self.minting is None

    def read(self, place: Path | Literal["-"]) -> list[Person]:
        """Read and check the people file. Raises Refused."""
        return read_people(
            place,
            name_column=self.name_column,
            secret_column=self.secret_column if self.has_secrets else None,
            files=self.files if self.has_secrets else None,
        )

    def handing(self, people: Sequence[Person], source: str) -> AskedFiles:
        """Check the files that these people get, and return how they are handed over.

        Raises Refused.
        """
        if not self.minted_file and all(person.file is None for person in people):
            if self.file_name is not None:
                raise Failure("--file-name: nobody gets a file")
            return NO_FILES
        asked = AskedFiles(self.ways.flow_value(), self.file_name, minted=self.minted_file)
        check_files(people, asked, source)
        return asked


def people_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what people get, and `--batch`.

    The command gets `people: AskedPeople` and `batch: str`.
    """

    @functools.wraps(command)
    def gathered(
        *args: Any,
        name_column: str,
        secret_column: str,
        file_column: str | None,
        mint: str | None,
        mint_file: str | None,
        file_name: str | None,
        mint_seconds: float | None,
        ways: AskedWays,
        **more: Any,
    ) -> Any:
        if mint is not None and mint_file is not None:
            raise Failure("give --mint or --mint-file, not both")
        if mint is not None and file_name is not None:
            raise Failure("--file-name: what --mint makes is a text")
        minting = None
        if mint is not None:
            minting = parse_command(mint)
        elif mint_file is not None:
            minting = parse_command(mint_file, "--mint-file", (PLACEHOLDER, FILE_PLACEHOLDER))
        if (mint or mint_file) and file_column is not None:
            raise Failure("--file-column: no column is read, since a command makes all")
        people = AskedPeople(
            name_column,
            secret_column,
            FileColumn() if file_column is None else FileColumn(file_column, asked=True),
            minting,
            mint_seconds_from(mint or mint_file, mint_seconds),
            mint_file is not None,
            file_name,
            ways,
        )
        return command(*args, people=people, **more)

    asking: Callable[..., Any] = shared_ways_options(gathered)
    for option in reversed(_OPTIONS):
        asking = option(asking)
    return asking


def warn_of_readers(people: Path | str) -> None:
    """Warn if every user of this machine can read a people file; standard input is a text."""
    from holdfast.operating.exposure import warning

    if isinstance(people, Path) and (said := warning(people)) is not None:
        say.tell(said)


exchange_option = click.option(
    "--exchange",
    type=click.Choice(EXCHANGES),
    show_default="for 'wormhole receive'",
    help="Hand out by another protocol: tahoe-invite, each secret being a JSON object for 'tahoe"
    " create-client --join CODE'.",
)
"""The command gets `exchange: str | None`."""
