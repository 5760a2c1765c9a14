"""``holdfast send``: one text from wherever it is, the same exchange after a kill."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.cli.main import holdfast
from holdfast.cli.texts import text_from
from tests.cli.conftest import mistyped
from tests.cli.journals import failed, run
from tests.harness.peers import StockReceivers, shown
from tests.harness.process import Holdfast


def test_an_argument_through_a_kill(home: Holdfast, stock: StockReceivers) -> None:
    """Killed and started again with the same words, it has the same code, and ends well."""
    text = "grüß dich, 世界"
    with home.start("send", "--text", text) as child:
        code = child.wait_for(r"^(\d+-\S+)\n")[1]
        child.kill9()
    with home.start("send", "--text", text) as child:
        assert child.wait_for(r"^(\d+-\S+)\n")[1] == code
        assert stock.wait(stock.receive(code)).text == shown(text)
        ended = child.wait()
    assert ended.status == 0
    assert ended.out == f"{code}\n"
    typed = f"wormhole --relay-url {home.relay} receive {code}"
    assert f"on the other computer: {typed}\n" in ended.err
    assert "sent: the recipient has it" in ended.err
    once_more = home.run("send", "--text", text)
    assert (once_more.status, once_more.out) == (0, "")
    assert "this text was collected at" in once_more.err
    assert text not in ended.err


def test_a_file_arrives_byte_for_byte(home: Holdfast, tmp_path: Path) -> None:
    """From `send --text-file` to `receive --out` no byte is lost, gained or changed."""
    source, out = tmp_path / "text", tmp_path / "out"
    source.write_bytes("\ufeffkey\r\n\0ünï\r\n\n".encode())
    with home.start("send", "--text-file", source) as child:
        code = child.wait_for(r"^(\d+-\S+)\n")[1]
        other = home.run("receive", code, "--out", out, HOLDFAST_DB=f"{home.db}.2")
        assert other.status == 0, other
        assert child.wait().status == 0
    assert out.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (b"a\nb\n", "a\nb"),
        (b"a\r\n", "a"),
        (b"a", "a"),
        (b"a\n\n", "a\n"),
        (b"a\r\n\r\n", "a\r\n"),
        (b"a\r", "a\r"),
        (b"a\n\r", "a\n\r"),
    ],
)
def test_standard_input_loses_one_line_end(
    monkeypatch: pytest.MonkeyPatch, typed: bytes, sent: str
) -> None:
    """Of either kind, and no more; a file, and `--text-file -`, lose nothing."""
    for text, file, expected in (
        (None, None, sent),
        ("-", None, sent),
        (None, "-", typed.decode()),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
        assert text_from(text, file) == expected


def test_one_text_for_two_people(home: Holdfast, tmp_path: Path) -> None:
    """Each of them has a code of their own, which the same command goes on with."""

    def code(*more: str) -> tuple[str, str]:
        with home.start("send", "--text", "hello", *more) as child:
            found = child.wait_for(r"^(\d+-\S+)\n")[1]
            child.interrupt()
            return found, child.wait().err

    first, said = code()
    assert "going on" not in said
    ann, bob = code("--to", "ann")[0], code("--to", "bob")[0]
    assert len({first, ann, bob}) == 3
    again, said = code("--to", "ann")
    assert again == ann
    assert "continuing with the code of this text" in said
    assert "--to WHO makes another code" in said


def test_wrong_words(home: Holdfast, stock: StockReceivers) -> None:
    """A recipient with other words ends it with status 1; nothing was sent."""
    with home.start("send", "--text", "hello") as child:
        code = child.wait_for(r"^(\d+-\S+)\n")[1]
        wrong = mistyped(stock, code)
        assert stock.wait(wrong).error == "WrongPasswordError"
        ended = child.wait()
    assert ended.status == 1
    assert "it ended as wrong code: the other side used a different code" in ended.err


def test_bad_input(tmp_path: Path) -> None:
    """What cannot be sent is one line, and nothing is started."""
    source = tmp_path / "text"
    database = tmp_path / "none.db"
    for content, said in [
        (b"", "there is no text"),
        (b"ab\xff", "not UTF-8 at byte 3, and a text holds nothing else: send it as a file"),
        (b"x" * 15_001 + b"\r\n", "longer than 15000 bytes"),
        ("é".encode() * 8_000, "longer than 15000 bytes"),
        (b"line\n" * 2_999 + b"line", "takes 18,000 bytes in a message"),
    ]:
        source.write_bytes(content)
        failed(run(database, "send", "--text-file", str(source)), said)
        env = {"HOLDFAST_DB": str(database)}
        failed(CliRunner().invoke(holdfast, ["send"], input=content, env=env), said)
    env = {"HOLDFAST_DB": str(database)}
    for content in (b"\n", b"\r\n"):
        failed(CliRunner().invoke(holdfast, ["send"], input=content, env=env), "there is no text")
    failed(run(database, "send", "--text", ""), "there is no text")
    failed(run(database, "send", "--text", "x", "--text-file", str(source)), "not both")
    failed(run(database, "send", "--file", str(tmp_path / "none")), "none: No such file")
    failed(run(database, "send", "--text", "x", "--relay", "http://x"), "--relay: ")
    said = "there is no file 'hello'; to send these words: --text 'hello big world'"
    failed(run(database, "send", "hello", "big world"), said)
    assert not database.exists()


def test_the_longest_text_is_taken(tmp_path: Path) -> None:
    """The limit itself is not too long; what is refused here is the database."""
    source = tmp_path / "text"
    source.write_bytes(b"x" * 15_000)
    failed(run(tmp_path, "send", "--file", str(source)), "is a directory")
    for end in (b"", b"\n", b"\r\n"):
        env = {"HOLDFAST_DB": str(tmp_path)}
        content = source.read_bytes() + end
        failed(CliRunner().invoke(holdfast, ["send"], input=content, env=env), "is a directory")
