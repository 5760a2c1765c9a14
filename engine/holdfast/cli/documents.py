"""Rows for programs: one JSON array, or CSV with a header.

Both are written page by page, since there may be more rows than fit into memory.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias

import click

from holdfast.cli.failure import Failure

Command: TypeAlias = Callable[..., Any]

Pages: TypeAlias = Iterable[Sequence[Mapping[str, Any]]]
"""Facts by name, some rows at a time."""

Write: TypeAlias = Callable[[Sequence[str], Pages], None]
"""Writes a document, given the columns that CSV has."""


def document_options(command: Command) -> Command:
    """Add `--json` and `--csv`; the command gets `write: Write | None`."""

    @wraps(command)
    def chosen(*args: Any, as_json: bool, as_csv: bool, **others: Any) -> Any:
        if as_json and as_csv:
            raise Failure("--json and --csv are two documents; ask for one")
        write = _write_json if as_json else write_csv if as_csv else None
        return command(*args, write=write, **others)

    for option in (
        click.option("--csv", "as_csv", is_flag=True, help="Write CSV for programs."),
        click.option("--json", "as_json", is_flag=True, help="Write a JSON document for programs."),
    ):
        chosen = option(chosen)
    return chosen


def _write_json(_columns: Sequence[str], pages: Pages) -> None:
    write_json(pages)


def write_json(pages: Pages) -> None:
    """Write one array, an object on each line."""
    before = "["
    for page in pages:
        lines = [json.dumps(each) for each in page]
        if lines:
            click.echo(before + "\n" + ",\n".join(lines), nl=False)
            before = ","
    click.echo("[]" if before == "[" else "\n]")


def write_csv(columns: Sequence[str], pages: Pages) -> None:
    """Write a header, and a line for each row.

    What is in a list is separated by blanks, and what is in an object has columns of its own.
    """
    click.echo(_csv([columns]), nl=False)
    for page in pages:
        records = [[flat.get(each) for each in columns] for flat in map(_flat, page)]
        click.echo(_csv(records), nl=False)


def _flat(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            flat.update(value)
        else:
            flat[key] = " ".join(value) if isinstance(value, list) else value
    return flat


def _csv(records: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()
