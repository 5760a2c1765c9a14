"""Style sheets, scripts and pictures: read once, and served without a session."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from holdfast.console.answers import Answer
from holdfast.console.site import send

if TYPE_CHECKING:
    from klein import Klein

    from holdfast.console.wire import GuardedRequest

FOLDER: Final = Path(__file__).parent / "static"

KINDS: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@define(eq=False)
class Assets:
    """What is below `/static/`: exactly these files, by exactly these names."""

    _files: Mapping[str, Answer] = field(factory=lambda: read_all(FOLDER))

    def add(self, app: Klein) -> None:
        """Let them be asked for."""
        app.route("/static/<name>", methods=["GET"], endpoint="GET /static")(self.show)

    def show(self, request: GuardedRequest, name: str) -> bytes:
        """Answer with a file, or say that the browser has it already."""
        found = self._files.get(name)
        if found is None:
            return send(request, Answer(b"There is no such file.\n", 404, "text/plain"))
        if request.header("if-none-match") == dict(found.headers)["ETag"]:
            return send(request, Answer(b"", 304, found.kind, found.headers))
        return send(request, found)


def read_all(folder: Path) -> Mapping[str, Answer]:
    """Return the files of a folder that are of a known kind, as answers."""
    return {
        each.name: _answer(each.read_bytes(), KINDS[each.suffix])
        for each in sorted(folder.iterdir())
        if each.suffix in KINDS
    }


def _answer(body: bytes, kind: str) -> Answer:
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    return Answer(body, kind=kind, headers=[("Cache-Control", "no-cache"), ("ETag", tag)])
