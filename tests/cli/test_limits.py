"""The limit of open files."""

import resource

from holdfast.cli.limits import raise_open_files_limit


def test_the_soft_limit_becomes_the_hard_one() -> None:
    """A process may open as many files as the system lets it, and asking twice is harmless."""
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_open_files_limit()
        raise_open_files_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
