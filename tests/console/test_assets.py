"""What is vendored is what its packages have, and everything that a page loads is ours."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from holdfast.console.assets import FOLDER, KINDS
from holdfast.console.templating import FOLDER as TEMPLATES
from tests.console.browser import Browser

LIST = (FOLDER / "VENDORED.md").read_text()
LISTED = re.findall(r"^\| `(\S+)` .*`([0-9a-f]{64})` \|$", LIST, re.MULTILINE)


@pytest.mark.parametrize(("name", "digest"), LISTED)
def test_vendored_files_are_as_they_were(name: str, digest: str) -> None:
    """The hash is that of the package's file."""
    assert sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_every_minified_file_is_listed() -> None:
    """With its licence beside it."""
    assert {name for name, _ in LISTED} == {each.name for each in FOLDER.glob("*.min.*")}
    for licence in set(re.findall(r"`(\S+\.LICENSE)`", LIST)):
        assert (FOLDER / licence).stat().st_size > 200


def test_what_pages_name_is_there(browser: Browser) -> None:
    """Templates and the style sheet load only files that are served."""
    sources = [*TEMPLATES.glob("*.html"), FOLDER / "console.css"]
    named = {
        each for path in sources for each in re.findall(r"/static/([\w.-]+)", path.read_text())
    }
    assert named
    for name in named:
        got = browser.get(f"/static/{name}")
        assert got.status == 200
        assert got.headers["content-type"] == KINDS[Path(name).suffix]
        assert (
            browser.get(f"/static/{name}", **{"If-None-Match": got.headers["etag"]}).status == 304
        )


@pytest.mark.parametrize(
    "name", ["../site.py", "..%2fsite.py", "VENDORED.md", "", ".", "htmx.min.js/", "pico.LICENSE"]
)
def test_other_files_are_not_served(browser: Browser, name: str) -> None:
    """Only files of known kinds, by exactly their names."""
    assert browser.get(f"/static/{name}").status in (404, 308)
