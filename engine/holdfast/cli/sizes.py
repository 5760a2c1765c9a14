"""How many bytes, as a person writes it: `500MB`, `2TB`, `0`."""

import re

import click

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT]?B)?")


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes on the command line; the command gets an int."""

    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the bytes that `value` means."""
        if not isinstance(value, str):
            return value
        match = _SIZE.fullmatch(value.strip().upper())
        if match is None:
            self.fail(f"{value[:40]!r} is not a size: write it like 500MB, 20GB or 0", param, ctx)
        return int(match[1]) * _UNITS[match[2] or ""]
