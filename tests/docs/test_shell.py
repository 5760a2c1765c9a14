"""The example of `docs/shell.md`: a shell that is not Holdfast's own."""

import json
from pathlib import Path

from holdfast.core import checkpoint
from tests.docs.conftest import Run
from tests.docs.test_library import CODE, answer
from tests.harness.server import MailboxServer


def test_a_shell_of_your_own(run: Run, server: MailboxServer, tmp_path: Path) -> None:
    """Killed and started again it goes on with the same code, and exchanges with a stock peer."""
    with run("own_shell.py") as first:
        code = first.wait_for(CODE)[1]
        first.kill9()
    document = json.loads((tmp_path / "own_shell.json").read_text())
    assert checkpoint.load(document).exchange.code.data.code == code
    second = run("own_shell.py")
    assert answer(server, code, b"inbound") == [b"outbound data"]
    ended = second.wait()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "got: b'inbound'\nclosed: happy\n"
