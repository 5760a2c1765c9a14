"""The name under which this is installed, for error lines that tell people to install an extra.

Another project's package on the index is called `holdfast` too, so the name is not in the code: it
is that of the distribution to which the command `holdfast` belongs.
"""

from importlib.metadata import entry_points

_UNKNOWN = "holdfast-wormhole"
"""What it is called on the index; for a copy that was never installed."""


def distribution() -> str:
    """Return the name of the distribution that this package belongs to."""
    for command in entry_points(group="console_scripts", name="holdfast"):
        if command.module.startswith("holdfast.cli") and command.dist is not None:
            return command.dist.name
    return _UNKNOWN


def install(extra: str) -> str:
    """Return the command that installs what the extra called `extra` needs."""
    return f"pip install '{distribution()}[{extra}]'"
