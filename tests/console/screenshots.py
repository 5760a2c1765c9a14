"""`make screenshots`: a picture of every page of the console, for the manual.

python -m tests.console.screenshots FOLDER
"""

import getpass
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from holdfast_journal import SqlJournal
from tests.console.chromium import PHONE, Console, Visit, chromium, people, shot_name, visit
from tests.console.exhibits import FAILED, MANY, fill
from tests.harness.peers import StockReceivers
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.journal.postgres import memory

if TYPE_CHECKING:
    from playwright.sync_api import Browser

COLLECTS: Final = "zoe@example.com"
WAITS: Final = "yves@example.com"
"""Somebody whose code is shown; by then it works no more."""

SIZE: Final = {"width": 1100, "height": 760}

REPLACE: Final = """instead => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const escaped = text => text.replace(/[^\\w]/g, "\\\\$&");
    while (walker.nextNode())
        for (const [here, there] of Object.entries(instead)) {
            const whole = new RegExp("(?<!\\\\w)" + escaped(here) + "(?!\\\\w)", "g");
            walker.currentNode.data = walker.currentNode.data.replace(whole, there);
        }
}"""


@define
class EarlierOn:
    """A clock that begins some hours ago and runs quickly until it is now."""

    at: float = field(factory=lambda: time.time() - 8 * 3600)

    def __call__(self) -> float:
        self.at = min(self.at + 9.0, time.time())
        return self.at


def collect(home: Holdfast, relay: str, folder: Path) -> None:
    """Let one of two people collect a secret, so that there is a flow with a story."""
    source, codes = people(folder / "people.csv", COLLECTS, WAITS), folder / "codes.csv"

    def rows() -> Mapping[str, str]:
        lines = codes.read_text().splitlines()[1:] if codes.exists() else []
        return {line.split(",")[0]: line.split(",")[-1] for line in lines}

    def is_done() -> bool:
        journal = SqlJournal.look(str(home.db), environ={})
        found = journal.overview(name=COLLECTS)[0].status
        journal.close()
        return found == "done"

    words = ("--batch", "spring-2026-late", "--codes", codes, "--deadline", "7d")
    with home.start("provision", source, *words) as worker, StockReceivers(relay) as stock:
        until(lambda: len(rows()) == 2, worker.describe)
        assert stock.wait(stock.receive(rows()[COLLECTS])).ok
        until(is_done, worker.describe)
        worker.terminate()
        worker.wait()


@define
class Studio:
    """Where pictures are taken.

    Args:
        browser: what shows the pages.
        console: whose pages.
        folder: where the pictures go.
        instead: what stands in them instead of what differs from machine to machine.
    """

    browser: "Browser"
    console: Console
    folder: Path
    instead: Mapping[str, str]

    def take(self, window: Visit, name: str) -> None:
        """Take a picture of what is shown, as far as there is something."""
        window.page.evaluate(REPLACE, dict(self.instead))
        size = window.page.viewport_size or SIZE
        bottom = float(window.page.evaluate("document.querySelector('main').offsetHeight")) + 100
        clip: Any = {"x": 0, "y": 0, **size, "height": min(size["height"], bottom)}
        window.page.screenshot(path=self.folder / f"{name}.png", clip=clip)

    def shoot(self) -> None:
        """Take all of them."""
        address = self.console.address
        with visit(self.browser, viewport=SIZE) as window:
            window.page.goto(self.console.entrance)
            cookies = window.context.storage_state()
            for path in window.paths():
                window.page.goto(f"{address}{path}")
                self.take(window, shot_name(path))
            window.page.goto(f"{address}/flows?q={COLLECTS}")
            window.page.click("table a")
            window.page.wait_for_url("**/flows/*")
            self.take(window, "flow")
            window.page.goto(f"{address}/flows?q={WAITS}")
            window.page.click("tbody a")
            window.page.click("text=Show the code")
            self.take(window, "code")
            self.retry_many(window)
        with visit(self.browser, viewport=SIZE, storage_state=cookies, color_scheme="dark") as dark:
            dark.page.goto(f"{address}/flows")
            self.take(dark, "flows-dark")
        with visit(self.browser, viewport=PHONE, storage_state=cookies) as phone:
            phone.page.goto(f"{address}/tasks")
            self.take(phone, "tasks-phone")

    def retry_many(self, window: Visit) -> None:
        """Let a job be done, as pictures of jobs need one."""
        page = window.page
        page.goto(f"{self.console.address}/flows?batch={FAILED}&status=failed")
        page.check("input[value=all]")
        page.click("text=Retry…")
        page.fill("input[name=why]", "the mint is back")
        self.take(window, "retry")
        page.click(f"button:has-text('Retry {MANY} flows')")
        page.wait_for_selector(f"text={MANY} of {MANY} done")
        page.goto(f"{self.console.address}/jobs")
        self.take(window, "jobs")


def main(folder: Path) -> None:
    """Fill a database, start what is needed, and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=memory()) as work:
        path = Path(work) / "holdfast.db"
        # It stays open, and has a long lease, since its worker is to be alive.
        journal = SqlJournal.open_inline(
            path, environ={}, clock=EarlierOn(), host="worker-1", lease=86400.0
        )
        fill(journal, "o'neil@example.com", "autumn-2026")
        with MailboxServer(Path(work)) as server:
            home = Holdfast(Path(work) / "home", server.url, str(path), NO_RELAY)
            collect(home, server.url, Path(work))
            instead = {
                work: "/var/lib/holdfast",
                server.url: "wss://mailbox.example/v1",
                socket.gethostname(): "ops-1",
                getpass.getuser(): "ada",
            }
            with Console(home) as console, chromium() as browser:
                Studio(browser, console, folder, instead).shoot()
        journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
