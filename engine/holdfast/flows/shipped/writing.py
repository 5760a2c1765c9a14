"""The task "write-file": put a received text into a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from holdfast.files import write_whole
from holdfast.flows.tasks import Call, TaskFailed, task


@task("write-file", tries=3, blocks=True)
def write_file(call: Call) -> None:
    """Write `text` to `path` with mode 0600. Doing it twice is doing it once."""
    path, text = Path(call.arguments["path"]), call.arguments["text"]
    try:
        write_whole(path, text.encode("utf-8", "surrogatepass"), keep=False)
    except OSError as error:
        raise TaskFailed(f"{path}: {error.strerror or type(error).__name__}") from None
