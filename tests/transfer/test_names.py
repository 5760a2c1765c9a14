"""Names that another side offers, and how names are shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.transfer.names import BadName, numbered, safe_name, shown

HOSTILE = {
    "report.pdf": "report.pdf",
    "Grüße 🧑‍🚀.txt": "Grüße 🧑‍🚀.txt",
    "../../etc/passwd": "passwd",
    "/etc/cron.d/job": "job",
    "C:\\Users\\ann\\plan.txt": "plan.txt",
    "..\\..\\boot.ini": "boot.ini",
    "folder/": "folder",
    "a\0b": "a_b",
    "two\nlines\r": "two_lines_",
    "\x1b[31mred\x07": "_[31mred_",
    "invoice\u202efdp.exe": "invoice_fdp.exe",
    "un\u200bseen\ufeff": "un_seen_",
    "line\u2028end": "line_end",
    ".bashrc": "_bashrc",
    "...hidden": "_hidden",
    " .ssh": "_ssh",
    ".holdfast-1": "_holdfast-1",
    "NUL": "_NUL",
    "con.txt": "_con.txt",
    "com1 .txt": "_com1 .txt",
    "LPT¹": "_LPT¹",
    "console": "console",
    "trailing. . ": "trailing",
    "trailing\u2003.": "trailing",
    "caf\udce9": "caf\ufffd",
    "x" * 300 + ".tar": "x" * 251 + ".tar",
    "é" * 200: "é" * 127,
    "a." + "b" * 300: "a." + "b" * 253,
}


@pytest.mark.parametrize("offered", HOSTILE)
def test_a_hostile_name_is_repaired(offered: str) -> None:
    """Nothing leads out of the directory, hides, deceives, is reserved, or is too long."""
    assert safe_name(offered) == HOSTILE[offered]


@pytest.mark.parametrize("offered", ["", ".", "..", "...", "/", "a/..", "..\\", " ", ". ."])
def test_a_name_of_which_nothing_is_left_is_refused(offered: str) -> None:
    """The receiver is asked for one."""
    with pytest.raises(BadName, match="Choose a name"):
        safe_name(offered)


@given(st.text(st.characters(categories=None), max_size=400))
def test_whatever_is_offered(offered: str) -> None:
    """A safe name is one component of at most 255 bytes that nothing hides in, and stays so."""
    try:
        name = safe_name(offered)
    except BadName:
        return
    assert 0 < len(name.encode()) <= 255
    assert not set(name) & {"/", "\\", "\0"}
    assert name[0] not in ". "
    assert name[-1] not in ". "
    assert not {unicodedata.category(each) for each in name} & {"Cc", "Cs", "Zl", "Zp"}
    assert safe_name(name) == name


@given(st.text(st.characters(categories=None), max_size=400))
def test_whatever_is_shown(name: str) -> None:
    """What goes to a terminal is printable, in one line, and not long."""
    assert shown(name).isprintable()
    assert len(shown(name)) <= 3100


def test_what_is_shown() -> None:
    """A person sees what was meant to be unseen, and the end of a long path."""
    assert shown("Grüße.txt") == "Grüße.txt"
    assert shown("a\x1b[2Jb\n\u202e\udce9") == r"a\x1b[2Jb\n\u202e\udce9"
    assert shown("/" * 1000 + "end") == "…" + "/" * 297 + "end"


@pytest.mark.parametrize(
    ("name", "another"),
    [
        ("report.pdf", "report (2).pdf"),
        ("README", "README (2)"),
        (".bashrc", ".bashrc (2)"),
        ("x" * 255, "x" * 251 + " (2)"),
        ("a." + "b" * 100, "a." + "b" * 100 + " (2)"),
    ],
)
def test_another_name(name: str, another: str) -> None:
    """It keeps the suffix, and has room."""
    assert numbered(name, 2) == another
