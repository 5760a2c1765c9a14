"""The options that limit what a process moves: `--at-once` and `--limit-rate`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final

import click

from holdfast.cli.sizes import Size
from holdfast.operating.sharing import Limits

_PER_SECOND: Final = re.compile(r" ?/ ?s$")


class Rate(Size):
    """Bytes a second on the command line: `500KB`, `2MB/s`; the command gets an int."""

    name = "rate"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the bytes a second that `value` means."""
        from holdfast.transfer.throttle import SLOWEST

        if isinstance(value, str):
            value = _PER_SECOND.sub("", value.strip())
        rate = super().convert(value, param, ctx)
        if rate < SLOWEST:
            self.fail(f"at least {SLOWEST // 1000}KB", param, ctx)
        return rate


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--at-once` and `--limit-rate`; the command gets `limits: Limits`."""

    @functools.wraps(command)
    def gathered(*args: Any, at_once: int | None, limit_rate: int | None, **more: Any) -> Any:
        return command(*args, limits=Limits(at_once, limit_rate), **more)

    options = click.option(
        "--limit-rate",
        type=Rate(),
        metavar="RATE",
        help="Move at most so many bytes a second, all files together: 500KB, 2MB.",
    )(gathered)
    return click.option(
        "--at-once",
        type=click.IntRange(1, 10_000),
        metavar="N",
        show_default="100",
        help="Send at most N files at the same time; the others wait for their turn.",
    )(options)
