"""What a person is shown of an offer before it is accepted, and what their answer means."""

from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.asking import answered, described, replaceable, understood

DIGEST = "ab" * 32


def offer(**more: Any) -> dict[str, Any]:
    plain = {"kind": "file", "name": "a.pdf", "size": 1234567, "files": 1, "total": 1234567}
    return plain | {"sha256": ""} | more


def target(directory: Path, name: str = "a.pdf", free: str | None = None) -> dict[str, Any]:
    return {"directory": str(directory), "name": name, "free": free or name, "overwrite": False}


def test_a_file_from_a_stock_client() -> None:
    """Its size is there as people say it and exactly; nobody has said a digest."""
    assert described(offer(), target(Path("/home/ann"))) == [
        "The sender offers a file:",
        "  name    a.pdf",
        "  size    1.23 MB (1,234,567 bytes)",
        "  place   /home/ann/a.pdf",
    ]


def test_a_folder_from_a_holdfast() -> None:
    """What counts is what will be on the disk."""
    folder = offer(kind="folder", name="photos", size=99, files=1200, total=50, sha256=DIGEST)
    assert described(folder, target(Path("/home/ann"), "photos", "photos (2)")) == [
        "The sender offers a folder:",
        "  name    photos",
        "  size    50 bytes in 1,200 files",
        f"  sha256  {DIGEST}",
        "  place   /home/ann/photos (2) (photos exists)",
    ]


def test_no_sender_commands_the_terminal() -> None:
    """A name that would is shown as it is, in escapes, beside the name that it will have."""
    said = described(offer(name="../\x1b[2J\u202efdp.exe\n"), target(Path("/x"), "_[2J_fdp.exe"))
    assert said[1] == "  name    ../\\x1b[2J\\u202efdp.exe\\n"
    assert said[-1] == "  place   /x/_[2J_fdp.exe"


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("\n", "no"),
        ("n\n", "no"),
        (" No \n", "no"),
        ("y\n", "yes"),
        ("YES", "yes"),
        ("overwrite\n", "overwrite"),
        ("j\n", None),
        ("yy\n", None),
    ],
)
def test_what_an_answer_means(line: str, meaning: str | None) -> None:
    """Only what is certain counts; whoever says nothing has not accepted."""
    assert understood(line, can_overwrite=True) == meaning


def test_nothing_is_replaced_that_was_not_offered_for_it(tmp_path: Path) -> None:
    """A file may take the place of a file; of nothing else, and a folder of nothing at all."""
    for name in ("a.pdf", "folder", "link"):
        taken = target(tmp_path, name, f"{name} (2)")
        assert not replaceable(offer(), taken)
    (tmp_path / "a.pdf").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("a.pdf")
    assert replaceable(offer(), target(tmp_path, "a.pdf", "a (2).pdf"))
    assert not replaceable(offer(kind="folder"), target(tmp_path, "a.pdf", "a (2).pdf"))
    assert not replaceable(offer(), target(tmp_path, "folder", "folder (2)"))
    assert not replaceable(offer(), target(tmp_path, "link", "link (2)"))
    assert understood("overwrite", can_overwrite=False) is None


def test_the_free_name_is_taken_unless_told_otherwise(tmp_path: Path) -> None:
    taken = target(tmp_path, "a.pdf", "a (2).pdf")
    assert answered("yes", taken) == {"accept": True, "name": "a (2).pdf", "overwrite": False}
    assert answered("overwrite", taken) == {"accept": True, "name": "a.pdf", "overwrite": True}
    assert not answered("no", taken)["accept"]
