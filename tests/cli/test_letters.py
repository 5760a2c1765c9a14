"""Letters: what templates may say, where letters go, and what becomes of those that are there."""

import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from holdfast.flows.document import Checkpoint, new_flow
from holdfast.flows.shipped.provision import Provision
from holdfast.operating.kept import Kept
from holdfast.operating.letter_facts import Facts
from holdfast.operating.letter_templates import shows_code, template_from
from holdfast.operating.letters import Letters, safe_name
from holdfast.operating.refused import Refused
from holdfast.rendezvous import DEFAULT_RELAY
from holdfast.transfer import APPID
from holdfast_journal import FlowRow, SqlJournal
from holdfast_journal.ownership.values import TakenFlow
from tests.cli.journals import failed, move, open_at, run

SERVER = "ws://localhost:4000/v1"
FACTS = Facts("Ada", "default", "7-a-b", Kept(SERVER, APPID, 2e9))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def render(path: Path, facts: Facts = FACTS) -> str:
    return template_from(path, facts.kept.relay, facts.kept.appid).render(facts)


def test_the_plain_letter_says_what_to_type() -> None:
    """With the server where it is not the usual one, and until when."""
    letter = template_from(None, SERVER, APPID).render(FACTS)
    assert "\n    wormhole --relay-url ws://localhost:4000/v1 receive 7-a-b\n" in letter
    assert "For Ada\n" in letter
    assert "and until 2033-05-1" in letter
    usual = evolve(FACTS, kept=Kept(DEFAULT_RELAY, APPID, None))
    letter = template_from(None, DEFAULT_RELAY, APPID).render(usual)
    assert "\n    wormhole receive 7-a-b\n" in letter
    assert "until" not in letter


def test_all_that_a_template_can_use(tmp_path: Path) -> None:
    """Each variable, in text; a whole QR code, as text and as SVG."""
    text = "{{ name }}|{{ batch }}|{{ code }}|{{ command }}|{{ relay }}|{% if deadline %}"
    text += "{{ deadline.strftime('%Y') }}{% endif %}|{% if qr %}{{ qr.uri }}{% endif %}"
    assert render(written(tmp_path / "letter.txt", text)) == (
        "Ada|default|7-a-b|wormhole --relay-url ws://localhost:4000/v1 receive 7-a-b"
        "|ws://localhost:4000/v1|2033|wormhole-transfer:7-a-b?rendezvous=ws%3A%2F%2Flocalhost%3A4000"
    )
    drawn = render(written(tmp_path / "drawn.txt", "{{ code }}\n{{ qr.text }}\n{{ qr.svg }}"))
    assert "▀▀▀▀▀" in drawn
    assert "<svg " in drawn
    none = evolve(FACTS, kept=Kept("ws://localhost/other", APPID, None))
    no_qr = "{{ code }} {{ relay or '' }} {{ 'qr' if qr else 'no qr' }}"
    assert render(written(tmp_path / "none.txt", no_qr), none).endswith("/other no qr")


def test_the_example_of_the_manual() -> None:
    """The template that the manual shows is one, and its letters are whole."""
    letter = render(Path(__file__).parents[2] / "docs" / "examples" / "letter.html")
    assert "<pre>wormhole --relay-url ws://localhost:4000/v1 receive 7-a-b</pre>" in letter
    assert "<svg " in letter
    assert "May 2033" in letter
    mail = Path(__file__).parents[2] / "docs" / "examples" / "letter.txt"
    person = {"email": "a@example.com\nBcc: all@example.com", "title": "Dr"}
    head, body = (
        template_from(mail, SERVER, APPID, person)
        .render(evolve(FACTS, person=person))
        .split("\n\n", 1)
    )
    assert head.startswith("To: a@example.com\\nBcc: all@example.com\nSubject: ")
    assert body.startswith("Dear Dr Ada,\n")


def test_markup_in_names_is_text_in_html(tmp_path: Path) -> None:
    """An HTML letter shows the name as it is; the QR code is drawn."""
    page = "<p>{{ name }} {{ code }}</p>{{ qr.svg }}"
    facts = evolve(FACTS, name="<script>alert(1)</script>")
    for called in ("letter.html", "letter.html.j2", "letter.HTM"):
        letter = render(written(tmp_path / called, page), facts)
        assert "<p>&lt;script&gt;alert(1)&lt;/script&gt; 7-a-b</p><svg " in letter
    assert "<script>" in render(written(tmp_path / "letter.txt", page), facts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ code }} {{ secret }}", "no letter has 'secret'; a template can use name, batch, code"),
        (
            "{% if deadline %}{% if not deadline %}{{ typo }}{% endif %}{% endif %}{{ code }}",
            "typo",
        ),
        ("Dear {{ name }}", "would not show the code"),
        ("{{ code }}\n{% if name %}", "line 2: Unexpected end of template"),
        ("{{ code.__class__.__mro__ }}", "unsafe"),
        ("{{ code }}{{ deadline.year }}", "has no attribute 'year'"),
        ("{{ code }}{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ code }}{% include 'other.txt' %}", "other.txt"),
    ],
)
def test_a_template_is_checked_before_anything_starts(tmp_path: Path, text: str, said: str) -> None:
    """What would fail for somebody, or would not be a letter, is one line at the start."""
    with pytest.raises(Refused) as refused:
        template_from(written(tmp_path / "letter.txt", text), SERVER, APPID)
    assert str(refused.value).startswith(f"{tmp_path}/letter.txt")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_not_templates(tmp_path: Path) -> None:
    """What is not there, not text, or too large is refused."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    for name, said in (("none", "No such file"), ("binary", "UTF-8"), ("large", "1 MiB")):
        with pytest.raises(Refused, match=said):
            template_from(tmp_path / name, SERVER, APPID)


def test_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install; the plain letter needs neither."""
    page = written(tmp_path / "letter.txt", "{{ code }}{{ qr.text }}")
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(Refused, match=r"pip install 'holdfast-wormhole\[qr\]'"):
        template_from(page, SERVER, APPID)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(Refused, match=r"pip install 'holdfast-wormhole\[letters\]'"):
        template_from(page, SERVER, APPID)
    assert template_from(None, SERVER, APPID).render(FACTS)


@pytest.mark.parametrize(
    ("letter", "shown"),
    [
        ("receive 7-a-b\n", True),
        ("7-a-b", True),
        ("17-a-b", False),
        ("7-a-bc", False),
        ("7-a-b-c", False),
        ("17-a-b, or 7-a-b.", True),
    ],
)
def test_whose_letter_it_is(letter: str, shown: bool) -> None:
    """A code that is a part of a longer one is another code."""
    assert shows_code(letter, "7-a-b") is shown


@pytest.mark.parametrize("name", ["ada", "Ada Lovelace", "a.b+c@example.com", "Zoë", "山田太郎"])
def test_ordinary_names_are_names_of_files(name: str) -> None:
    """They are found where one would look."""
    assert safe_name(name) == name


@given(name=st.text(min_size=1, max_size=200), other=st.text(min_size=1, max_size=200))
def test_any_name_becomes_one_of_its_own(name: str, other: str) -> None:
    """It is the name of a file in the directory, and nobody else's, nor a hidden one."""
    safe = safe_name(name)
    assert not {"/", "\0", "\n"} & set(safe)
    assert safe[0] not in ".-"
    assert len(safe.encode()) < 200
    assert (safe == safe_name(other)) == (name == other)
    assert safe_name(safe) != safe or safe == name, "a name that looks like another's file"


def letters(directory: Path, *, again: bool = False) -> Letters:
    return Letters(directory, template_from(None, SERVER, APPID), again)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqlJournal]:
    opened = open_at(tmp_path / "holdfast.db")
    yield opened
    opened.close()


def begin(journal: SqlJournal, *names: str, batch: str = "default") -> dict[str, TakenFlow]:
    until = time.time() + 86_400
    flows = {each: Provision(name=each, secret="s3cret") for each in names}
    new = [new_flow(name, flow, relay=SERVER, deadline=until) for name, flow in flows.items()]
    journal.start_flows(batch, new)
    return {each.name: each for each in journal.take(batch=batch)}


def give(flow: TakenFlow, code: str) -> None:
    checkpoint = Checkpoint({}, {}, deadline=time.time() + 3600).to_bytes()
    move(flow, "waiting", checkpoint=checkpoint, code=code)


def row_of(journal: SqlJournal, name: str) -> FlowRow:
    [row] = journal.overview(name=name)
    return row


def test_a_letter_is_written_once_for_each_code(journal: SqlJournal, tmp_path: Path) -> None:
    """Readable by its owner only; an edited one stays; a new code replaces it; an end does not."""
    flow = begin(journal, "ada")["ada"]
    desk = letters(tmp_path / "letters")
    desk.check([("default", "ada")])
    path = tmp_path / "letters" / "ada.txt"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    became = []

    def write(which: Letters = desk) -> str:
        became.append(which.write(journal, row_of(journal, "ada")).value)
        return path.read_text() if path.exists() else ""

    assert write() == ""
    give(flow, "7-a-b")
    assert f"    wormhole --relay-url {SERVER} receive 7-a-b\n" in write()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("Dear Ada, it is 7-a-b.")
    path.chmod(0o644)
    assert write() == "Dear Ada, it is 7-a-b."
    assert "Dear Ada" not in write(letters(tmp_path / "letters", again=True))
    give(flow, "9-c-d")
    assert "receive 9-c-d\n" in write()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    move(flow, "done", finished=True)
    assert "receive 9-c-d\n" in write()
    path.unlink()
    assert write() == ""
    assert became == [
        "no code yet",
        "written",
        "written before",
        "written",
        "replaced, because the code is new",
        "left alone, because the flow is over",
        "over",
    ]
    assert [each.name for each in path.parent.iterdir()] == []


def test_what_is_in_the_place_of_a_letter(journal: SqlJournal, tmp_path: Path) -> None:
    """A link would lead elsewhere, and a pipe would wait: neither is followed."""
    flow = begin(journal, "ada")["ada"]
    give(flow, "7-a-b")
    elsewhere = written(tmp_path / "elsewhere", "mine")
    path = tmp_path / "letters" / "ada.txt"
    path.parent.mkdir()
    for make in (lambda: path.symlink_to(elsewhere), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(Refused, match=r"the letter for 'ada' in .*not a regular file"):
            letters(path.parent).write(journal, row_of(journal, "ada"))
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert elsewhere.read_text() == "mine"
    with pytest.raises(Refused, match="elsewhere: "):
        letters(elsewhere).check([("default", "ada")])


def test_letters_for_codes_that_are_there(journal: SqlJournal, tmp_path: Path) -> None:
    """The command writes what is missing, says what became of each, and ends as it says."""
    db = tmp_path / "holdfast.db"
    flows = begin(journal, "ada", "bob", "../eve") | begin(journal, "zoe", batch="march")
    for number, name in enumerate(("ada", "../eve", "zoe")):
        give(flows[name], f"{number}-a-b")
    directory = tmp_path / "letters"
    ran = run(db, "letters", "--letters", str(directory))
    assert ran.exit_code == 1, ran.output
    assert sorted(ran.stdout.splitlines()) == [
        "'default/../eve': written",
        "'default/ada': written",
        "'default/bob': no code yet",
        "'march/zoe': written",
        "4 flows: 3 written; 1 no code yet.",
    ]
    assert ran.stderr == "holdfast: 1 of 4 have no letter\n"
    found = {str(each.relative_to(directory)) for each in directory.rglob("*.txt")}
    assert {"ada.txt", "march/zoe.txt"} < found
    assert len(found) == 3
    give(flows["bob"], "4-a-b")
    page = written(tmp_path / "page.html", "{{ code }} by {{ deadline.year if deadline }}")
    ran = run(db, "letters", "--letters", str(directory), "--letter", str(page), "bob")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "'bob': written\n", "")
    assert (directory / "bob.html").read_text().startswith("4-a-b by 2")
    ran = run(db, "letters", "--letters", str(directory), "ada", "zoe")
    assert ran.stdout == "2 flows: 2 written before.\n"
    source = written(tmp_path / "people.csv", "secret,mail,name\ns3cret,z@example.com,zoe\n")
    page = written(tmp_path / "mail.eml.j2", "{{ code }} {{ person.mail }}")
    mails = ("letters", "--letters", str(directory), "--letter", str(page))
    ran = run(db, *mails, "--people", str(source), "zoe")
    assert (directory / "march" / "zoe.eml").read_text() == "2-a-b z@example.com", ran.output
    ran = run(db, *mails, "--people", str(source), "ada", "zoe")
    assert ran.exit_code == 1
    assert "mail.eml.j2: 'dict object' has no attribute 'mail'" in ran.stderr
    page.write_text("{{ code }} {{ person.secret }}")
    failed(run(db, *mails, "--people", str(source), "zoe"), "no attribute 'secret'")
    failed(run(db, "letters"), "--letters DIR")
    failed(run(db, "letters", "--letter", str(page)), "--letters DIR")
    failed(run(db, "letters", "--letters", str(directory), "nobody"), "no flow is called 'nobody'")
    shown = run(db, "status", "ada").stdout
    assert f"wormhole --relay-url {SERVER} receive 0-a-b" in shown
