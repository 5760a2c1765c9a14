"""The examples of `docs/flows.md`."""

import json
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.docs.conftest import Run
from tests.harness.process import Child, environment
from tests.harness.server import MailboxServer, _ReservedPort
from tests.harness.waiting import until


def asked(url: str, *, start: bool = False) -> list[dict[str, Any]]:
    request = urllib.request.Request(url, method="POST" if start else "GET")
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def is_up(url: str) -> bool:
    try:
        asked(url)
    except OSError:
        return False
    return True


def test_the_token_service(run: Run, server: MailboxServer, tmp_path: Path) -> None:
    """Started over the web, killed and started again, a flow issues one token, and is done."""
    port = _ReservedPort()
    url = f"http://127.0.0.1:{port.number}/ada"
    try:
        with run("token_service.py", port=port.number) as first:
            until(lambda: is_up(url), lambda: f"the service: {first.describe()}")
            assert [each["status"] for each in asked(url, start=True)] == ["new"]
            code = until(lambda: asked(url)[0].get("code"), "the code")
            first.kill9()
        second = run("token_service.py")
        until(lambda: is_up(url), lambda: f"the service: {second.describe()}")
        assert len(asked(url, start=True)) == 1, "a name is started once"
        collected = run("collect_token.py", code).wait()
        assert (collected.status, collected.err) == (0, "")
        until(lambda: asked(url)[0]["status"] == "done", "the end")
        with closing(sqlite3.connect(tmp_path / "tokens.db")) as tokens:
            [row] = tokens.execute("SELECT user, token FROM tokens").fetchall()
        assert row == ("ada", collected.out.strip())
        second.terminate()
        assert second.wait().status == 0
    finally:
        port.close()


def test_the_test_of_a_flow(run: Run, tmp_path: Path) -> None:
    """The test that the manual shows passes, as the manual says to run it."""
    import sys

    run("quick.py").close()  # puts the examples there
    env = environment(HOME=str(tmp_path), PYTHONPATH=str(tmp_path))
    words = [sys.executable, "-m", "unittest", "test_issue_token"]
    with Child(words, env=env, cwd=tmp_path) as tests:
        ended = tests.wait()
    assert ended.status == 0, tests.describe()
