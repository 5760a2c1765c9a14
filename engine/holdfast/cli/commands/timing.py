"""`holdfast timing`: draw recordings of message times."""

from collections.abc import Sequence
from pathlib import Path

import click

from holdfast.cli.failure import Failure
from holdfast.operating.refused import because


@click.command()
@click.argument(
    "recordings",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    metavar="RECORDING...",
)
@click.option(
    "--out",
    metavar="FILE",
    default="timing.html",
    show_default=True,
    help="The HTML page to write; - is standard output.",
)
def command(recordings: Sequence[Path], out: str) -> None:
    """Draw recordings of message times.

    Writes an HTML page. A recording is what 'holdfast send --dump-timing FILE' writes, or
    DebugTiming.write in a program. Several are drawn one below the other, on one clock.
    """
    from holdfast.files import write_whole
    from holdfast.operating.timing_diagram import Recording, draw
    from holdfast.timing import NotARecording, read

    read_in = []
    for path in recordings:
        try:
            read_in.append(Recording(path.name, read(path.read_text())))
        except OSError as error:
            raise because(str(path), error) from None
        except (NotARecording, UnicodeDecodeError) as error:
            said = str(error) if isinstance(error, NotARecording) else "it is not a text file"
            raise Failure(f"{path}: {said}") from None
    if out == "-":
        click.echo(draw(read_in), nl=False)
        return
    try:
        write_whole(Path(out), draw(read_in).encode(), mode=0o644)
    except OSError as error:
        raise because(out, error) from None
    click.echo(f"drawn: {out}")
