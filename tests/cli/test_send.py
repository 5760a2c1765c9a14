"""``holdfast send``: one text from wherever it is, the same exchange after a kill."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.cli.main import holdfast
from tests.cli.conftest import mistyped
from tests.cli.journals import failed, run
from tests.harness.peers import StockReceivers, shown
from tests.harness.process import BIN, Child, Holdfast


def test_an_argument_through_a_kill(home: Holdfast, stock: StockReceivers) -> None:
    """Killed and started again with the same words, it has the same code, and ends well."""
    text = "grüß dich, 世界"
    with home.start("send", text) as child:
        code = child.wait_for(r"^(\d+-\S+)\n")[1]
        child.kill9()
    with home.start("send", text) as child:
        assert child.wait_for(r"^(\d+-\S+)\n")[1] == code
        assert stock.wait(stock.receive(code)).text == shown(text)
        ended = child.wait()
    assert ended.status == 0
    assert ended.out == f"{code}\n"
    assert f"on the other computer: wormhole receive {code}" in ended.err
    assert "sent: the recipient has it" in ended.err
    once_more = home.run("send", text)
    assert (once_more.status, once_more.out) == (0, "")
    assert "this text was collected at" in once_more.err
    assert text not in ended.err


def test_a_file_and_standard_input(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """A file's text, and standard input's, arrive without the line's end that ends them."""
    source = tmp_path / "text"
    source.write_text("two\nlines\n")
    command = [BIN / "holdfast", "send"]
    piped = ["/bin/sh", "-c", 'exec "$@" < "$0"', source, *command]
    with (
        home.start("send", "--file", source) as child,
        Child(piped, env=home._environment({"HOLDFAST_DB": f"{home.db}.2"})) as other,
    ):
        for each in (child, other):
            code = each.wait_for(r"^(\d+-\S+)\n")[1]
            assert stock.wait(stock.receive(code)).text == shown("two\nlines")
            assert each.wait().status == 0


def test_wrong_words(home: Holdfast, stock: StockReceivers) -> None:
    """A recipient with other words ends it with status 1; nothing was sent."""
    with home.start("send", "hello") as child:
        code = child.wait_for(r"^(\d+-\S+)\n")[1]
        wrong = mistyped(stock, code)
        assert stock.wait(wrong).error == "WrongPasswordError"
        ended = child.wait()
    assert ended.status == 1
    assert "it ended as scared: the other side used a different code" in ended.err


def test_bad_input(tmp_path: Path) -> None:
    """What cannot be sent is one line, and nothing is started."""
    source = tmp_path / "text"
    database = tmp_path / "none.db"
    for content, said in [
        (b"", "there is no text"),
        (b"\n", "there is no text"),
        (b"ab\xff", "not UTF-8 at byte 3"),
        (b"x" * 15_001, "longer than 15000 bytes"),
        ("é".encode() * 8_000, "longer than 15000 bytes"),
        (b"line\n" * 3_000, "takes 18,000 bytes in a message"),
    ]:
        source.write_bytes(content)
        failed(run(database, "send", "--file", str(source)), said)
        env = {"HOLDFAST_DB": str(database)}
        failed(CliRunner().invoke(holdfast, ["send"], input=content, env=env), said)
    failed(run(database, "send", ""), "there is no text")
    failed(run(database, "send", "x", "--file", str(source)), "not both")
    failed(run(database, "send", "--file", str(tmp_path / "none")), "none: No such file")
    failed(run(database, "send", "x", "--relay", "http://x"), "--relay: ")
    assert not database.exists()


@pytest.mark.parametrize("size", [15_000])
def test_the_longest_text_is_taken(tmp_path: Path, size: int) -> None:
    """The limit itself is not too long; what is refused here is the database."""
    source = tmp_path / "text"
    source.write_bytes(b"x" * size + b"\n")
    failed(run(tmp_path, "send", "--file", str(source)), "is a directory")
