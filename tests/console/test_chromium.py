"""The console in a real browser: who comes in, what moves by itself, and what cannot be done to it.

One browser and one console for all.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from holdfast_journal import Deeds, SqlJournal
from tests.console.chromium import (
    ELSEWHERE,
    PHONE,
    Console,
    Visit,
    chromium,
    needs_chromium,
    people,
    visit,
)
from tests.console.exhibits import FAILED, MANY, MARKUP, fill
from tests.harness.cable import Cable
from tests.harness.peers import StockReceivers
from tests.harness.process import NO_RELAY, Holdfast
from tests.harness.server import MailboxServer
from tests.journal.postgres import memory

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium

SMUGGLED = """() => {
    const script = document.createElement("script");
    script.textContent = "window.smuggled = 1";
    document.body.append(script);
}"""


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mailbox: MailboxServer) -> Iterator[Holdfast]:
    """Commands with a database that has everything in it; in memory where that is possible."""
    folder = tmp_path_factory.mktemp("console")
    with TemporaryDirectory(dir=memory()) as quick:
        path = Path(quick) / "holdfast.db"
        journal = SqlJournal.open_inline(path, environ={})
        fill(journal)
        journal.close()
        yield Holdfast(folder / "home", mailbox.url, str(path), NO_RELAY)


@pytest.fixture(scope="module")
def console(home: Holdfast) -> Iterator[Console]:
    with Console(home) as console:
        yield console


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def cookies(browser: "Browser", console: Console) -> object:
    """Those of somebody who came in by the one-time address, which then works no more."""
    with visit(browser) as first, visit(browser) as second:
        first.page.goto(console.entrance)
        assert first.page.url == f"{console.address}/"
        (cookie,) = first.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert first.page.evaluate("document.cookie") == ""
        second.page.goto(console.entrance)
        assert "This address was used" in second.page.inner_text("main")
        assert second.context.cookies() == []
        return first.context.storage_state()


@pytest.fixture(scope="module")
def window(browser: "Browser", cookies: object) -> Iterator[Visit]:
    with visit(browser, storage_state=cookies) as window:
        yield window


@pytest.fixture
def ada(window: Visit) -> Iterator[Visit]:
    """Somebody who is logged in, and may do everything; the same window for all."""
    yield window
    window.page.unroute_all()
    window.check()


def test_every_page(ada: Visit, browser: "Browser", console: Console, cookies: object) -> None:
    """None breaks the policy, runs what names say, or is wider than a phone."""
    ada.page.goto(f"{console.address}/flows?q=*script*")
    assert ada.page.inner_text("table a") == MARKUP
    flow = ada.page.get_attribute("table a", "href")
    ada.page.keyboard.press("Tab")
    assert ada.page.evaluate("document.activeElement.textContent") == "To the content"
    paths = [*ada.paths(), str(flow)]
    assert len(paths) > 6
    with visit(browser, storage_state=cookies, viewport=PHONE, color_scheme="dark") as phone:
        for path in paths:
            got = phone.page.goto(f"{console.address}{path}")
            assert got is not None
            assert (path, got.status, phone.width) == (path, 200, PHONE["width"])


def test_a_script_in_a_page(ada: Visit, console: Console) -> None:
    """If one were smuggled in, it would not run; and the other tests would hear of it."""
    ada.page.goto(f"{console.address}/flows")
    ada.page.evaluate(SMUGGLED)
    assert ada.page.evaluate("window.smuggled === undefined")
    assert "Content Security Policy" in ada.complaints.pop()


def test_rows_turn_green(
    ada: Visit, console: Console, home: Holdfast, mailbox: MailboxServer, tmp_path: Path
) -> None:
    """When stock clients collect, without the page's being loaded again; also after a cut."""
    source, page = people(tmp_path / "people", "zoe", "yves"), ada.page
    with (
        home.start("provision", source, "--batch", "live") as worker,
        StockReceivers(mailbox.url) as stock,
        Cable(console.port) as cable,
    ):
        codes = {name: worker.wait_for(rf"{name}\D+(\d+-\S+)")[1] for name in ("zoe", "yves")}
        page.goto(f"http://127.0.0.1:{cable.port}/flows?batch=live")
        page.locator("tr", has_text="yves").locator("text=waiting").wait_for()
        page.evaluate("window.mine = true")
        for name, code in codes.items():
            assert stock.wait(stock.receive(code)).text == f"the secret of {name}"
            page.locator("tr.good", has_text=name).locator("text=done").wait_for()
            if name == "zoe":
                cable.cut()
        assert all("network error" in ada.complaints.pop() for _ in [*ada.complaints])
        assert page.evaluate("window.mine")
        page.goto("about:blank")
        assert worker.wait().status == 0


@pytest.mark.parametrize("scripts", [True, False], ids=["typed", "without scripts"])
def test_a_search(browser: "Browser", console: Console, cookies: object, scripts: bool) -> None:
    """The table and the address follow what is typed; without JavaScript the button does it."""
    with visit(browser, storage_state=cookies, java_script_enabled=scripts) as somebody:
        somebody.page.goto(f"{console.address}/flows")
        somebody.page.fill("input[name=q]", "eve")
        if not scripts:
            somebody.page.click("text=Show")
        somebody.page.wait_for_url("**/flows?q=eve*")
        assert somebody.page.locator("table tbody tr").count() == 1


def test_by_keyboard(ada: Visit, console: Console) -> None:
    """A flow is found and opened without a mouse, as far as the button that would cancel it."""

    def tab_to(wanted: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
                seen = "getComputedStyle(document.activeElement)"
                shown = page.evaluate(f"[{seen}.outlineStyle, {seen}.boxShadow].join()")
                assert shown != "none,none", f"nobody sees that {wanted} has the focus"
                return
        raise AssertionError(f"Tab does not come to {wanted}")

    page = ada.page
    page.goto(f"{console.address}/flows?status=waiting")
    name = page.inner_text("tbody a")
    tab_to("input[name=q]")
    page.keyboard.type(name)
    page.wait_for_url("**/flows?q=*")
    tab_to("tbody a")
    page.keyboard.press("Enter")
    page.locator("h1", has_text=name).wait_for()
    tab_to("summary.secondary")
    page.keyboard.press("Enter")
    tab_to("form[action$=cancel] button")


def test_a_code(ada: Visit, console: Console, home: Holdfast) -> None:
    """It is on no page before somebody asks for it, which is written down."""
    ada.page.goto(f"{console.address}/flows?status=waiting")
    assert "guitar-revenge" not in ada.page.content()
    name = ada.page.inner_text("tbody a")
    ada.page.click("tbody a")
    ada.page.get_by_role("button", name="Show the code").wait_for()
    assert "guitar-revenge" not in ada.page.content()
    ada.page.click("text=Show the code")
    assert "guitar-revenge" in ada.page.inner_text(".code")
    journal = SqlJournal.look(str(home.db), environ={})
    (deed, *_) = journal.audit(Deeds(action="code shown", name=name))
    journal.close()
    assert deed.face == "page"


def test_a_bulk_retry(ada: Visit, console: Console) -> None:
    """Of all that match: asked before, done by a job, and seen to be done."""
    ada.page.goto(f"{console.address}/flows?batch={FAILED}&status=failed")
    ada.page.check("input[value=all]")
    ada.page.click("text=Retry…")
    ada.page.fill("input[name=why]", MARKUP)
    ada.page.click(f"button:has-text('Retry {MANY} flows')")
    ada.page.wait_for_url("**/jobs/*")
    ada.page.wait_for_selector(f"text={MANY} of {MANY} done")
    ada.page.goto(f"{console.address}/flows?batch={FAILED}")
    assert ada.page.inner_text(".counts") == f"{MANY} new"
    ada.page.goto(f"{console.address}/audit?action=retry&batch={FAILED}&limit=500")
    assert ada.page.locator("tbody tr", has_text=MARKUP).count() == MANY


@pytest.mark.parametrize(
    "site", ["http://127.0.0.1:9999", "http://other.example"], ids=["same site", "other site"]
)
def test_a_form_of_another_page(ada: Visit, console: Console, home: Holdfast, site: str) -> None:
    """Nothing is done, also if the browser sends the cookie: this machine's pages are one site."""
    target = f"{console.address}/jobs"
    form = f'<form method="post" action="{target}"><input name="what" value="cancel"></form>'
    ada.page.route(
        f"{site}/*",
        lambda route: route.fulfill(body=f"<!doctype html>{form}", content_type="text/html"),
    )
    ada.page.goto(f"{site}/page")
    with ada.page.expect_response(target) as got:
        ada.page.evaluate("document.forms[0].submit()")
    assert got.value.status in (401, 403)


def test_a_foreign_name(ada: Visit, console: Console) -> None:
    """Somebody's page that lets its own name lead to this machine is told nothing."""
    got = ada.page.goto(f"http://{ELSEWHERE}:{console.port}/flows")
    assert got is not None
    assert got.status == 421
    assert ada.page.locator("table").count() == 0
    ada.complaints.clear()  # a header of ours is only for names that can be trusted
