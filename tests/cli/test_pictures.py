"""A code as a QR picture."""

import io
import sys

import pytest
import segno

from holdfast.cli import say
from holdfast.cli.pictures import Pictures, fitting_picture, picture_of
from holdfast.operating.kept import Kept
from holdfast.operating.qr import qr_text, require_qr
from holdfast.operating.refused import Refused
from holdfast.rendezvous import DEFAULT_RELAY
from holdfast.transfer import APPID

URI = "wormhole-transfer:7-guitarist-revenge"


def modules(picture: str) -> list[list[int]]:
    """Read the picture back into rows of modules, 1 for dark."""
    pairs = {" ": (1, 1), "▀": (0, 1), "▄": (1, 0), "█": (0, 0)}
    rows: list[list[int]] = []
    for line in picture.splitlines():
        text = line.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m")
        rows += [[pairs[each][half] for each in text] for half in (0, 1)]
    return rows


def test_the_picture_is_the_uri() -> None:
    """The picture is that of wormhole-transfer:CODE, with its quiet zone; on paper too."""
    expected = segno.make(URI, micro=False, error="l")
    want = [list(map(int, row)) for row in expected.matrix_iter(border=4)]
    drawn = Pictures(Kept(DEFAULT_RELAY, APPID, None)).of("ada", "7-guitarist-revenge")
    assert modules(drawn)[: len(want)] == want
    paper = [line.ljust(len(want[0])) for line in qr_text(URI).split("\n")]
    turned = "\n".join(line.translate(str.maketrans(" ▀▄█", "█▄▀ ")) for line in paper)
    assert modules(turned)[: len(want)] == want


def test_flows_with_other_terms() -> None:
    """Each picture leads to the server of its own flow, or says why none can."""
    usual, other = (Kept(url, APPID, None) for url in ("ws://a:1/v1", "ws://b:2/v1"))
    pictures = Pictures(usual, {"old": other, "none": Kept("ws://c:3/v2", APPID, None)})
    for name, host in (("ada", "a%3A1"), ("old", "b%3A2")):
        uri = f"wormhole-transfer:7-a-b?rendezvous=ws%3A%2F%2F{host}"
        assert pictures.of(name, "7-a-b") == fitting_picture(uri)
    assert "whose URL ends with /v1" in pictures.of("none", "7-a-b")


def test_it_fits_a_terminal() -> None:
    """The longest generated code of two words is a picture of at most 40 columns by 20 lines."""
    lines = picture_of("wormhole-transfer:999999-misnomer-revolver").splitlines()
    assert len(lines) <= 21
    assert max(len(line) for line in lines) <= 41 + len("\x1b[97;40m\x1b[0m")


def test_one_that_would_not_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a picture would be wrapped, escaped or cut there is a line that says why it is not."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert fitting_picture(URI) == picture_of(URI)
    assert "the code is too long" in fitting_picture(URI + "x" * 3000)
    monkeypatch.setattr(say, "terminal_columns", lambda _: 36)
    assert "it needs a terminal of 37 columns" in fitting_picture(URI)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert "this terminal's encoding lacks its blocks" in fitting_picture(URI)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where segno is not installed one line says what to install."""
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(Refused, match=r"pip install 'holdfast-wormhole\[qr\]'"):
        require_qr()
