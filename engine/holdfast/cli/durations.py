"""How long, as a person writes it: `90s`, `8h`, `1h30m`, `30d`."""

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
