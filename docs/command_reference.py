"""What the manual says of commands and settings, made from the commands themselves.

`docs/conf.py` puts it into the pages `reference.md` and `settings.md` when the manual is built.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click

from holdfast.cli.main import COMMANDS, holdfast
from holdfast.cli.settings import variables_of


def commands() -> Iterator[click.Context]:
    """A context of each command, and of each part of those that have parts."""
    with click.Context(holdfast, info_name="holdfast") as top:
        for name in COMMANDS:
            command = holdfast.get_command(top, name)
            assert command is not None
            yield from _with_parts(click.Context(command, top, name))


def _with_parts(ctx: click.Context) -> Iterator[click.Context]:
    yield ctx
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            part = ctx.command.get_command(ctx, name)
            assert part is not None
            yield from _with_parts(click.Context(part, ctx, name))


def reference() -> str:
    """All commands, as Markdown."""
    return "\n\n".join(_section(ctx) for ctx in commands())


def _section(ctx: click.Context) -> str:
    level = "##" if ctx.parent is not None and ctx.parent.parent is None else "###"
    usage = " ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])
    # A paragraph after \b is to stay as it is, line by line.
    text = inspect.cleandoc(ctx.command.help or "").replace("\b\n", "")
    options = [record for each in shown(ctx) if (record := each.get_help_record(ctx)) is not None]
    return "\n\n".join(
        [
            f"{level} {ctx.command_path}",
            f"```\n{usage}\n```",
            _markdown(text),
            *(f"`{left}`\n: {_markdown(right)}" for left, right in options),
        ]
    )


def shown(ctx: click.Context) -> list[click.Option]:
    """The options that `--help` shows, itself not among them."""
    params = ctx.command.get_params(ctx)
    return [
        each
        for each in params
        if isinstance(each, click.Option) and not each.hidden and "--help" not in each.opts
    ]


def settings() -> dict[tuple[str, ...], tuple[str, str]]:
    """For the variables of each option that has any: the option, and its default."""
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for ctx in commands():
        for option in shown(ctx):
            if variables := tuple(variables_of(option)):
                default = str(option.get_help_extra(ctx).get("default", "no"))
                # Defaults that only describe themselves stand in parentheses.
                found[variables] = (max(option.opts, key=len), default.strip("()"))
    return found


def settings_table() -> str:
    """The same, as a Markdown table."""
    rows = [
        f"| {', then '.join(f'`{each}`' for each in variables)} | `{option}` | {default} |"
        for variables, (option, default) in settings().items()
    ]
    return "\n".join(["| variable | option | default |", "|---|---|---|", *rows])


def _markdown(text: str) -> str:
    """Text in which nothing is meant as markup, but what stands between backquotes."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        each if each[:1] == "`" else re.sub(r"([*_<>{}\[\]$|\\])", r"\\\1", each) for each in parts
    )


def insert(_app: Any, _page: str, source: list[str]) -> None:
    """Called by Sphinx with the text of each page."""
    for marker, made in (("commands", reference), ("settings", settings_table)):
        line = f"<!-- made when the manual is built: {marker} -->"
        if line in source[0]:
            source[0] = source[0].replace(line, made())
