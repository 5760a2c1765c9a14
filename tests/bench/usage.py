"""What a process has used, as the kernel says."""

import os
from pathlib import Path

from attrs import frozen


@frozen
class Usage:
    """CPU seconds so far, and resident memory in MB."""

    cpu: float
    memory: float


def usage(pid: int) -> Usage:
    """Ask /proc for a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
