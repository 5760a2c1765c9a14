"""The option `--dump-timing`: when every message was sent and received, also on failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.operating.refused import because

if TYPE_CHECKING:
    from holdfast.timing import DebugTiming

dump_timing_option = click.option(
    "--dump-timing",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the time of every message to FILE, for 'holdfast timing' to draw.",
)


def recorder(path: Path | None) -> DebugTiming | None:
    """Return the recorder for `path`, if there is one; it is written when the command ends.

    Raises:
        Failure: the file cannot be written; that is found before anything starts.
    """
    if path is None:
        return None
    timing: DebugTiming = click.get_current_context().with_resource(_recording(path))
    return timing


@contextmanager
def _recording(path: Path) -> Iterator[DebugTiming]:
    from holdfast.timing import DebugTiming

    timing = DebugTiming()
    try:
        timing.write(path)
    except OSError as error:
        raise because(f"--dump-timing: {path}", error) from None
    try:
        yield timing
    finally:
        try:
            timing.write(path)
        except OSError as error:
            # How the command itself ended matters more than this.
            say.err(f"holdfast: {because(f'--dump-timing: {path}', error)}")
