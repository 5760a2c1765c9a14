"""The name under which this is installed, for error lines that tell people to install an extra.

It is that of the distribution to which the command `holdfast` belongs. Earlier releases were
called `holdfast`, which on the index is another project's package: nobody is told to install that,
also where such a release is still installed.
"""

from importlib.metadata import entry_points

_ON_THE_INDEX = "holdfast-wormhole"
"""What it is called there; for a copy that was never installed, or under the old name."""

_OLD_NAME = "holdfast"


def distribution() -> str:
    """Return the name of the distribution that this package belongs to."""
    for command in entry_points(group="console_scripts", name="holdfast"):
        name = None if command.dist is None else command.dist.name
        if name is not None and name != _OLD_NAME and command.module.startswith("holdfast.cli"):
            return name
    return _ON_THE_INDEX


def install(extra: str) -> str:
    """Return the command that installs what the extra called `extra` needs."""
    return f"pip install '{distribution()}[{extra}]'"
