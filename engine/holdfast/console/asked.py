"""A request as pages see it: decoded, bounded, and let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from holdfast.console.answers import Wrong
from holdfast.console.viewers import Viewer
from holdfast.operating.durations import parse_duration
from holdfast_journal import Actor


@frozen
class Asked:
    """What somebody asks of the console.

    Args:
        path: the path of the address.
        search: the address behind `?`, as it was sent.
        args: the variables of the page's path.
        query: what stands in the address.
        form: what was posted, as bytes.
        body: the whole body; empty for a form.
        headers: some of the request's headers, by their names in lower case.
        viewer: who asks.
    """

    path: str
    search: str
    args: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    form: Mapping[str, Sequence[bytes]] = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    viewer: Viewer

    def one(self, name: str, default: str = "") -> str:
        """Return what the address says of `name`."""
        return next(iter(self.query.get(name, ())), default)

    def many(self, name: str) -> Sequence[str]:
        """Return everything that the address says of `name`, without what is empty."""
        return [each for each in self.query.get(name, ()) if each]

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to `most` in the address. Raises Wrong."""
        said = self.one(name)
        if not said:
            return default
        try:
            return min(max(int(said), 1), most)
        except ValueError:
            raise Wrong(400, f"{name}: this is not a whole number") from None

    def filled(self, name: str, default: str = "") -> str:
        """Return what a form's field was filled with."""
        return next(iter(self.all_filled(name)), default)

    def all_filled(self, name: str) -> Sequence[str]:
        """Return everything that the fields of that name were filled with. Raises Wrong."""
        try:
            return [each.decode("utf-8") for each in self.form.get(name, ())]
        except UnicodeDecodeError:
            raise Wrong(400, f"{name}: this is not UTF-8") from None

    def seconds(self, name: str) -> float | None:
        """Return the duration in a form's field, such as 12h, in seconds. Raises Wrong."""
        said = self.filled(name).strip()
        try:
            return parse_duration(said) if said else None
        except ValueError as error:
            raise Wrong(400, f"{name}: {error}") from None

    def upload(self, name: str) -> bytes:
        """Return a file that was sent with a form of the kind `multipart/form-data`."""
        return next(iter(self.form.get(name, ())), b"")

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, which wants a part of a page."""
        return self.headers.get("hx-request") == "true"

    @property
    def actor(self) -> Actor:
        """Who acts, with the reason in the form's field `why`."""
        return self.viewer.actor(self.filled("why"))
