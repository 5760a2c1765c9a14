"""Starting flows on a page: one person, or a file that is shown first; and the batches."""

import re

import pytest

from holdfast.console.answers import Wrong
from holdfast.console.drafts import LIVES, MOST_BYTES, Draft, Drafts
from holdfast.console.pages import start as start_page
from holdfast.console.viewers import Role
from holdfast.flows.document import Params
from holdfast.operating.coding import AskedCode
from holdfast.operating.hooks import AskedHooks
from holdfast_journal import Deeds, SqlJournal
from tests.cli.journals import start
from tests.console.browser import HOST, Browser, Got
from tests.console.conftest import MARKUP

SECRET = "s3cr3t ünd more"
GOOD = f'name,secret\r\n"Ada, the first",{SECRET}\r\n{MARKUP},"two\nlines"\r\n'


@pytest.fixture
def operator(browser: Browser) -> Browser:
    return browser.log_in(Role.OPERATOR)


def send(browser: Browser, people: str | bytes, **fields: str) -> Got:
    """Send a file of people as a browser does."""
    content = people.encode() if isinstance(people, str) else people
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (name.encode(), value.encode())
        for name, value in {"csrf": browser.csrf, **fields}.items()
    ]
    file = b'--x\r\nContent-Disposition: form-data; name="people"; filename="p.csv"\r\n'
    body = b"".join([*parts, file, b"Content-Type: text/csv\r\n\r\n", content, b"\r\n--x--\r\n"])
    said = {"Origin": f"http://{HOST}", "Content-Type": "multipart/form-data; boundary=x"}
    return browser.ask("POST", "/start/people", body, said)


def draft(got: Got) -> str:
    (found,) = re.findall(r'name="draft" value="(\w+)"', got.body)
    return str(found)


def names(journal: SqlJournal, batch: str) -> list[str]:
    return [row.name for row in journal.overview(batch)]


class TestOnePerson:
    def test_is_started_once(self, operator: Browser) -> None:
        """The secret is stored with the line ends that were typed, and shown nowhere."""
        form = {"csrf": operator.csrf, "name": " eve ", "secret": "a\r\nb", "why": "asked"}
        form |= {"deadline": "2d", "guesses": "3"}
        got = operator.post("/start", form)
        (row,) = operator.journal.named("default", ["eve"])
        assert got.headers["location"] == f"/flows/{row.uid}"
        assert operator.post("/start", form).headers["location"] == got.headers["location"]
        params, _ = operator.journal.saved(row.id)
        assert b'"a\\nb"' in params
        (deed,) = operator.journal.audit(Deeds(action="start"))
        assert (deed.name, deed.why) == ("eve", "asked")
        again = operator.post("/start", {**form, "secret": SECRET})
        assert again.status == 409
        assert SECRET not in again.body
        assert 'value=" eve "' in again.body

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": " "},
            {"secret": ""},
            {"deadline": "3"},
            {"words": "0"},
            {"guesses": "1e3"},
            {"batch": "a\x07b"},
        ],
    )
    def test_is_refused_in_words(self, operator: Browser, wrong: dict[str, str]) -> None:
        """The form comes back without the secret."""
        form = {"csrf": operator.csrf, "name": "eve", "secret": SECRET, **wrong}
        got = operator.post("/start", form)
        assert got.status == 400
        assert 'role="alert"' in got.body
        assert SECRET not in got.body
        assert not operator.journal.named("default", ["eve"])

    def test_the_console_s_hooks(self, journal: SqlJournal) -> None:
        """Who is told is the console's to say; a name cannot be an option of their commands."""
        browser = Browser(journal, hooks=AskedHooks({"collected": ["tell", "{name}"]}))
        browser.log_in(Role.OPERATOR)
        form = {"csrf": browser.csrf, "name": "eve", "secret": SECRET}
        assert browser.post("/start", {**form, "name": "-rf"}).status == 400
        assert send(browser, "name,secret\n-rf,x\n").status == 400
        assert browser.post("/start", form).status == 303
        (row,) = journal.named("default", ["eve"])
        params = Params.from_bytes(journal.saved(row.id)[0])
        assert params.hooks["collected"] == ["tell", "{name}"]

    def test_a_viewer_cannot(self, browser: Browser) -> None:
        """Neither one nor a file."""
        browser.log_in(Role.VIEWER)
        assert browser.get("/start").status == 403
        assert send(browser, GOOD).status == 403


class TestAFile:
    def test_is_shown_first_and_then_started(self, operator: Browser) -> None:
        """Without its secrets; a second confirmation leads to the same place."""
        got = send(operator, GOOD, batch="march", deadline="7d")
        assert got.status == 200
        assert "Start 2 people in the batch march?" in got.body
        assert "Ada, the first" in got.body
        assert "15 characters" in got.body
        assert SECRET not in got.body
        assert MARKUP not in got.body
        assert not names(operator.journal, "march")
        form = {"csrf": operator.csrf, "draft": draft(got), "why": "the list of March"}
        for _ in range(2):
            again = operator.post("/start/people/all", form)
            assert again.headers["location"] == "/flows?batch=march"
        assert names(operator.journal, "march") == ["Ada, the first", MARKUP]
        deeds = operator.journal.audit(Deeds(action="start"))
        assert [each.why for each in deeds] == ["the list of March"] * 2
        assert "2 of them were started before" in send(operator, GOOD, batch="march").body

    def test_errors_are_told_by_line(self, operator: Browser) -> None:
        """All of them, and nobody can be started."""
        form = {"csrf": operator.csrf, "name": "cleo", "secret": "another"}
        operator.post("/start", {**form, "batch": "march"})
        people = f"name,secret\nann,\n,{SECRET}\nbob,{SECRET}\nbob,{SECRET}\ncleo,{SECRET}\n"
        got = send(operator, people, batch="march")
        assert got.status == 400
        found = [f"line {line}" for line in (2, 3, 5, 6) if f"line {line}: " in got.body]
        assert found == ["line 2", "line 3", "line 5", "line 6"]
        assert SECRET not in got.body
        assert 'name="draft"' not in got.body

    @pytest.mark.parametrize(
        ("people", "words"),
        [
            ("", "No file was chosen"),
            ("name,secret\n", "names no people"),
            (b"name,secret\nann,\xff\n", "not UTF-8"),
            ("name;secret\nann;x\n", "separated by commas"),
            ("name,secret\nann,x,y\n", "line 2: "),
            ("name,secret\n" + "ann,\n" * 1200, "and 980 more"),
        ],
    )
    def test_what_is_no_list(self, operator: Browser, people: str | bytes, words: str) -> None:
        """It says what is wrong with it."""
        got = send(operator, people)
        assert got.status == 400
        assert words in got.body

    def test_json_lines_and_other_columns(self, operator: Browser) -> None:
        """As with the commands."""
        lines = '{"who": "ann", "pin": "1"}\n{"who": "bob", "pin": "2"}\n'
        got = send(operator, lines, name_column="who", secret_column="pin")
        assert got.status == 400
        assert "was started in this batch with another secret" in got.body
        got = send(operator, lines, name_column="who", secret_column="pin", batch="b")
        assert "Start 2 people in the batch b?" in got.body
        assert send(operator, lines, name_column="who", secret_column="who").status == 400
        assert send(operator, lines, deadline="x").status == 400

    def test_too_many(self, operator: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        """Commands take any number."""
        monkeypatch.setattr(start_page, "MOST_PEOPLE", 1)
        assert "more than 1 people" in send(operator, GOOD).body

    def test_somebody_was_started_meanwhile(self, operator: Browser) -> None:
        """With another secret: then nobody of the list is."""
        got = send(operator, GOOD, batch="march")
        operator.post(
            "/start",
            {"csrf": operator.csrf, "name": "Ada, the first", "secret": "x", "batch": "march"},
        )
        form = {"csrf": operator.csrf, "draft": draft(got)}
        assert operator.post("/start/people/all", form).status == 409
        assert names(operator.journal, "march") == ["Ada, the first"]

    def test_the_list_of_another_session(self, operator: Browser) -> None:
        """It cannot be started."""
        found = draft(send(operator, GOOD, batch="march"))
        operator.log_in(Role.OPERATOR, "bea")
        form = {"csrf": operator.csrf, "draft": found}
        assert operator.post("/start/people/all", form).status == 410


class TestDrafts:
    def of(self, size: int = 1) -> Draft:
        return Draft("ada", "batch", (), size, None, AskedCode())

    def test_they_grow_old(self) -> None:
        """A quarter of an hour."""
        now = [0.0]
        drafts = Drafts(lambda: now[0])
        key = drafts.keep(self.of())
        now[0] = LIVES
        assert drafts.find(key, "ada").batch == "batch"
        now[0] = LIVES + 1
        with pytest.raises(Wrong):
            drafts.find(key, "ada")

    def test_their_size_is_bounded(self) -> None:
        """The oldest go."""
        drafts = Drafts()
        keys = [drafts.keep(self.of(MOST_BYTES // 2)) for _ in range(3)]
        with pytest.raises(Wrong):
            drafts.find(keys[0], "ada")
        assert all(drafts.find(each, "ada") for each in keys[1:])


def test_batches(browser: Browser) -> None:
    """Counts lead to the flows; a page at a time."""
    browser.log_in(Role.VIEWER)
    start(browser.journal, "x", batch=MARKUP)
    body = browser.get("/batches").body
    assert MARKUP not in body
    assert 'href="/flows?batch=default&amp;status=failed">1 failed' in body
    assert body.count("<tr>") == 3
    assert browser.get("/batches?name=default").body.count("<tr>") == 2
    assert "no batch of this name" in browser.get("/batches?name=nothing").body
    assert browser.get("/batches?after=x").status == 400
