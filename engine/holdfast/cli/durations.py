"""How long, as a person writes it: `90s`, `8h`, `1h30m`, `30d`."""

import math

import click

from holdfast.operating.durations import parse_duration


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration on the command line; the command gets seconds, a float."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds that `value` means."""
        if not isinstance(value, str):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DurationOrNone(Duration):
    """The same, or `none`; the command gets infinity for that."""

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds that `value` means."""
        if isinstance(value, str) and value.strip().lower() == "none":
            return math.inf
        return super().convert(value, param, ctx)
