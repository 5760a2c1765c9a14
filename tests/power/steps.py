"""What programs do to files, as far as it matters after a power cut."""

from attrs import field, frozen


@frozen
class Made:
    """A file or a further name of one: `link`, or `open` where there was none."""

    name: str
    file: int


@frozen
class MadeFolder:
    """A directory."""

    name: str


@frozen
class Renamed:
    """`rename`, which is one step in a directory."""

    old: str
    name: str
    file: int


@frozen
class Removed:
    """`unlink`."""

    name: str


@frozen
class Written:
    """Bytes at a place in a file."""

    file: int
    at: int
    data: bytes = field(repr=lambda data: f"{len(data)} bytes")


@frozen
class Cut:
    """`ftruncate`, or `open` with O_TRUNC."""

    file: int
    size: int


@frozen
class Synced:
    """`fsync` or `fdatasync` of a file has returned."""

    file: int


@frozen
class SyncedFolder:
    """`fsync` of a directory has returned."""

    name: str


@frozen
class Released:
    """The program has let something out, whose traces must not be lost from now on."""

    text: str


Step = Made | MadeFolder | Renamed | Removed | Written | Cut | Synced | SyncedFolder | Released
