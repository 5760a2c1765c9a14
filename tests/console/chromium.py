"""Debian's Chromium, driven by Playwright, in front of a console that runs as a process."""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest
from attrs import define, field

from tests.harness.closing import Closing
from tests.harness.process import Child, Holdfast
from tests.harness.waiting import DEADLINE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

CHROMIUM: Final = shutil.which("chromium")

MISSING: Final = CHROMIUM is None or importlib.util.find_spec("playwright") is None

needs_chromium = pytest.mark.skipif(
    MISSING or not os.environ.get("BROWSER"),
    reason="chromium (a Debian package) or playwright (from PyPI) is not installed"
    if MISSING
    else "`make browser` does this",
)

ELSEWHERE: Final = "elsewhere.example"
"""A name that leads to this machine, as somebody's name server may say."""

PHONE: Final = {"width": 390, "height": 844}
WIDE: Final = {"width": 1280, "height": 900}


@contextmanager
def chromium() -> Iterator["Browser"]:
    """One browser, without a window."""
    from playwright.sync_api import sync_playwright

    # In a container there is neither a second user for a sandbox nor a large /dev/shm.
    words = ["--no-sandbox", "--disable-dev-shm-usage"]
    words += [f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=words)
        try:
            yield browser
        finally:
            browser.close()


class Console(Closing):
    """`holdfast console` as a process."""

    def __init__(self, home: Holdfast) -> None:
        self.child: Child = home.start("console", "--listen", "127.0.0.1:0")

    def __enter__(self) -> Self:
        found = self.child.wait_for(r"^console: ((http://127\.0\.0\.1:(\d+))/login\S+)$")
        self.entrance, self.address, self.port = found[1], found[2], int(found[3])
        return self

    def close(self) -> None:
        self.child.close()


@define(slots=False)  # Playwright keeps something in who listens
class Visit:
    """Somebody's window, and what went wrong in it."""

    context: "BrowserContext"
    page: "Page" = field(init=False)
    complaints: list[str] = field(factory=list, init=False)
    """What the browser complained of: scripts that fail, and what the policy forbids."""

    def __attrs_post_init__(self) -> None:
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._opened)

    def _said(self, message: "ConsoleMessage") -> None:
        # A test that asks for what it must not get is told so by the status.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _opened(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def check(self) -> None:
        """See that nothing went wrong since the last time."""
        complaints, self.complaints = self.complaints, []
        assert not complaints, complaints

    @property
    def width(self) -> int:
        """How wide the page is, whatever the window."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth")
        return found

    def paths(self) -> list[str]:
        """The pages that every page links to, and one flow."""
        links = self.page.locator("ul.menu a").all()
        found = [link.get_attribute("href") or "" for link in links]
        return ["/", *(each for each in found if each != "/")]


@contextmanager
def visit(browser: "Browser", **options: Any) -> Iterator[Visit]:
    """A window with cookies of its own; at the end the browser must not have complained."""
    context = browser.new_context(**{"viewport": WIDE, **options})
    context.set_default_timeout(DEADLINE * 1000)
    try:
        made = Visit(context)
        yield made
        made.check()
    finally:
        context.close()


def shot_name(path: str) -> str:
    """The name of a picture of a page."""
    return re.sub(r"\W+", "-", path.strip("/")) or "overview"


def people(path: Path, *names: str) -> Path:
    """A file for `holdfast provision`."""
    path.write_text("\n".join(["name,secret", *(f"{each},the secret of {each}" for each in names)]))
    return path
