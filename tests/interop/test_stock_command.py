"""The installed `wormhole` command, of the magic-wormhole package, in both directions."""

from pathlib import Path

from tests.harness.peers import code_of, shown, wormhole_receive, wormhole_send
from tests.harness.process import Holdfast
from tests.interop.conftest import TEXT

CODE = r"^(\d+-\S+)\n"


def test_it_receives(home: Holdfast, tmp_path: Path) -> None:
    """`wormhole receive` prints what `holdfast send` sends."""
    (tmp_path / "text").write_text(TEXT)
    with home.start("send", "--text-file", tmp_path / "text") as sender:
        with wormhole_receive(str(home.relay), sender.wait_for(CODE)[1]) as receiver:
            ended = receiver.wait()
        assert (ended.status, ended.out) == (0, shown(TEXT) + "\n")
        assert sender.wait().status == 0


def test_it_sends(home: Holdfast) -> None:
    """`holdfast receive` prints what `wormhole send` sends, and the sender knows."""
    with wormhole_send(str(home.relay), TEXT) as sender:
        ended = home.run("receive", code_of(sender))
        assert (ended.status, ended.out) == (0, TEXT + "\n")
        assert sender.wait().status == 0
