"""A code as a QR picture."""

import io
import sys

import pytest
import segno

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.cli.pictures import code_picture, fitting_picture, require_pictures


def modules(picture: str) -> list[list[int]]:
    """Read the picture back into rows of modules, 1 for dark."""
    pairs = {" ": (1, 1), "▀": (0, 1), "▄": (1, 0), "█": (0, 0)}
    rows: list[list[int]] = []
    for line in picture.splitlines():
        text = line.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m")
        rows += [[pairs[each][half] for each in text] for half in (0, 1)]
    return rows


def test_the_picture_is_the_uri() -> None:
    """The picture is that of wormhole-transfer:CODE, with its quiet zone."""
    expected = segno.make("wormhole-transfer:7-guitarist-revenge", micro=False, error="l")
    want = [list(map(int, row)) for row in expected.matrix_iter(border=4)]
    assert modules(code_picture("7-guitarist-revenge"))[: len(want)] == want


def test_it_fits_a_terminal() -> None:
    """The longest generated code of two words is a picture of at most 40 columns by 20 lines."""
    lines = code_picture("999999-misnomer-revolver").splitlines()
    assert len(lines) <= 21
    assert max(len(line) for line in lines) <= 41 + len("\x1b[97;40m\x1b[0m")


def test_one_that_would_not_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a picture would be wrapped, escaped or cut there is a line that says why it is not."""
    code = "7-guitarist-revenge"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert fitting_picture(code) == code_picture(code)
    assert "the code is too long" in fitting_picture("7-" + "x" * 3000)
    monkeypatch.setattr(say, "terminal_columns", lambda _: 36)
    assert "it needs a terminal of 37 columns" in fitting_picture(code)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert "this terminal's encoding lacks its blocks" in fitting_picture(code)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where segno is not installed one line says what to install."""
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(Failure, match=r"pip install 'holdfast-wormhole\[qr\]'"):
        require_pictures()
