"""What the manual tells receivers of webhooks to do is right."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.commands import add, provision, send
from holdfast.flows.shipped.signing import signed
from tests.docs.conftest import DOCS

PAGE = (DOCS / "hooks.md").read_text()
SECRET = "a-secret-that-is-long-enough"
BODY = b'{"event": "collected"}'
KEY = "0123456789abcdef0123456789abcdef"


def block(language: str, beginning: str) -> str:
    """The example in that language that begins with this."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (text,) = [each for each in found if each.startswith(beginning)]
    return str(text)


def headers(age: int = 0) -> dict[str, str]:
    secrets = [b"another-that-is-older-now", SECRET.encode()]
    return signed(secrets, KEY, int(time.time()) - age, BODY)


def test_the_check_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes what is genuine, and nothing that was altered or is old."""
    monkeypatch.setenv("HOLDFAST_HOOK_SECRET", SECRET)
    names: dict[str, Any] = {}
    exec(block("python", "import base64"), names)
    is_genuine = names["is_genuine"]
    assert is_genuine(headers(), BODY)
    assert not is_genuine(headers(), BODY + b" ")
    assert not is_genuine(headers() | {"webhook-id": KEY[::-1]}, BODY)
    assert not is_genuine(headers(age=400), BODY)
    monkeypatch.setenv("HOLDFAST_HOOK_SECRET", SECRET[:-1])
    assert not is_genuine(headers(), BODY)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(("body", "verdict"), [(BODY, "genuine"), (BODY + b"\n", "forged")])
def test_the_check_in_a_shell(tmp_path: Path, body: bytes, verdict: str) -> None:
    """The same."""
    (tmp_path / "body.json").write_bytes(body)
    said = headers()
    environment = {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "HOLDFAST_HOOK_SECRET": SECRET,
        "id": said["webhook-id"],
        "timestamp": said["webhook-timestamp"],
        "signature": said["webhook-signature"],
    }
    command = ["/bin/sh", "-c", block("sh", "ours=")]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{verdict}\n"


@pytest.mark.parametrize("command", [provision.command, add.command, send.command])
def test_every_option_is_described(command: Any) -> None:
    """The table has the options that there are, and no others."""
    options = [name for each in command.params for name in each.opts if name.startswith("--on-")]
    assert re.findall(r"^\| `(--on-\w+)` \|", PAGE, re.MULTILINE) == options
