"""A code as a QR picture."""

import sys

import pytest
import segno

from holdfast.cli.failure import Failure
from holdfast.cli.pictures import code_picture, require_pictures


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


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where segno is not installed one line says what to install."""
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(Failure, match=r"pip install 'holdfast\[qr\]'"):
        require_pictures()
