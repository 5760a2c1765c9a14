"""The operating system's limits for one process."""

from pathlib import Path

RESERVE = 100
"""Files that a process needs besides its connections: those of the database, threads and tasks,
and those that libraries open."""


def raise_open_files_limit() -> None:
    """Let this process open as many files and sockets as its hard limit allows.

    The usual soft limit of 1,024 is low for the sake of programs that call select(), which ours do
    not, and a process with a thousand connections runs into it. If the system refuses, the limit
    stays as it is.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS reports "unlimited" as its hard limit, but accepts no more than 10,240.
    for limit in (hard, 10_240):
        if soft != resource.RLIM_INFINITY and (limit == resource.RLIM_INFINITY or limit > soft):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            except (ValueError, OSError):
                continue
            return


def connections_at_most() -> int | None:
    """How many connections this process can have, by its limit of open files; None for any number.

    A quarter of a very low limit is kept for other files.
    """
    try:
        import resource
    except ModuleNotFoundError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(1, soft - min(RESERVE, soft // 4) - _open_files())


def _open_files() -> int:
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return 0
