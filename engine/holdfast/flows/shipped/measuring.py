"""The tasks of a transfer that look at the disk: at what is sent, and where something belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from attrs import evolve
from cattrs import unstructure

from holdfast.files import check_new
from holdfast.flows.shipped.wording import said
from holdfast.flows.tasks import Call, TaskFailed, task
from holdfast.transfer import landing, names
from holdfast.transfer.errors import LandingError, SourceError, landing_words
from holdfast.transfer.names import BadName
from holdfast.transfer.shared import Measurements

LONGEST: Final = 30 * 86_400.0
"""Seconds that reading everything once may take: a large folder on a slow disk takes hours."""

MOST_CHECKSUMS: Final = 100_000
"""Characters of checksums that are kept with a flow, and written with each of its entries. Those of
a larger folder are found again, by reading it once more, for each connection."""

MEASUREMENTS: Final = Measurements()
"""Of this process."""


@task("measure", tries=1_000, blocks=True, timeout=LONGEST)
def measure(call: Call) -> dict[str, Any]:
    """Return name, size and digest of what will be sent; read it, unless that was done already."""
    paths = [Path(path) for path in call.arguments["paths"]]
    try:
        source = MEASUREMENTS.measure(paths, call.arguments["name"])
    except SourceError as error:
        raise TaskFailed(said(error), final=True) from None
    if len(source.checksums) > MOST_CHECKSUMS:
        source = evolve(source, checksums="")
    described: dict[str, Any] = unstructure(source)
    return described


@task("look-at-target", tries=1_000, blocks=True)
def look_at_target(call: Call) -> dict[str, Any]:
    """Say what a received file or folder will be called, and whether it can be put there.

    Returns:
        The `name`; the same or another one that is `free`; and the `problem` in words, or "".
    """
    offered, directory = call.arguments["offer"], Path(call.arguments["directory"])
    wanted = call.arguments["name"]
    try:
        name = names.safe_name(offered["name"]) if wanted is None else wanted
        names.check_name(name)
        needed = offered["size"]
        if offered["kind"] == "folder":
            needed += offered["total"]
        landing.check_space(directory, needed)
        free = landing.free_name(directory, name)
        with landing_words(directory / free):
            check_new(directory / free)  # a sender would wait for ever, or send in vain
    except (BadName, LandingError) as error:
        return {"name": "", "free": "", "problem": said(error)}
    return {"name": name, "free": free, "problem": ""}
