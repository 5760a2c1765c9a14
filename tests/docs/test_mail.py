"""The manual's page on mail: letters arrive at a mail server, each once, and again if it is new."""

import shutil
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.operating.kept import Kept
from holdfast.operating.letter_facts import Facts
from holdfast.operating.letter_templates import template_from
from holdfast.rendezvous import DEFAULT_RELAY
from holdfast.transfer import APPID
from tests.docs.conftest import DOCS
from tests.docs.pasting import Shell, blocks

PAGE = blocks((DOCS / "how-to/mail.md").read_text())
STAND_IN = f"""#!{sys.executable}
import smtplib, sys
from email import message_from_file
mail = message_from_file(sys.stdin)
settings = dict(line.strip().split(" ", 1) for line in open(".msmtprc"))
server = smtplib.SMTP(settings["host"], int(settings["port"]))
server.sendmail(settings["from"], mail["To"], mail.as_string())
server.quit()
"""


class Sink(socketserver.StreamRequestHandler):
    """Takes a mail, as RFC 5321 wants it, and keeps it; refuses one recipient."""

    def handle(self) -> None:
        self._say("220 sink")
        for line in self.rfile:
            word = line.split(None, 1)[0].upper()
            if word == b"DATA":
                self._say("354 go on")
                mail = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.append(mail.decode())  # type: ignore[attr-defined]
            refused = word == b"RCPT" and b"nobody" in line
            self._say(
                "550 no such person" if refused else "221 bye" if word == b"QUIT" else "250 ok"
            )

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[list[str]]:
    """A mail server, and what it has got; `.msmtprc` leads to it."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink) as server:
        server.mails = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        text = PAGE["msmtprc"].replace("smtp.example.com", "127.0.0.1").replace(" on\n", " off\n")
        text = text.replace("587", str(server.server_address[1]))
        (tmp_path / ".msmtprc").write_text(text)
        (tmp_path / ".msmtprc").chmod(0o600)
        yield server.mails  # type: ignore[attr-defined]
        server.shutdown()


REAL = pytest.mark.skipif(shutil.which("msmtp") is None, reason="msmtp is not installed")


@pytest.mark.parametrize("program", [pytest.param("msmtp", marks=REAL), "a stand-in"])
def test_letters_are_sent_once(program: str, tmp_path: Path, mails: list[str]) -> None:
    """What was refused is tried again, and a new code is sent anew."""
    here = Shell(tmp_path)
    if program != "msmtp":
        (tmp_path / "msmtp").write_text(STAND_IN)
        (tmp_path / "msmtp").chmod(0o700)
    shutil.copy(DOCS / "examples/send-letters.sh", tmp_path)
    (tmp_path / "letters").mkdir()
    known = {"title": "Dr", "email": "someone@example.com"}
    template = template_from(DOCS / "examples/letter.txt", DEFAULT_RELAY, APPID, known)
    kept = Kept(DEFAULT_RELAY, APPID, None)

    def letter(name: str, email: str, code: str) -> None:
        facts = Facts(name, "default", code, kept, known | {"email": email})
        (tmp_path / f"letters/{name}.txt").write_text(template.render(facts))

    letter("ada", "ada@example.com", "1-a-b")
    letter("grace", "nobody@example.com", "2-a-b")
    with pytest.raises(AssertionError, match=r"letters/grace\.txt was not sent"):
        here.paste(PAGE["send"])
    assert ["1-a-b" in mail for mail in mails] == [True]
    assert "To: ada@example.com" in mails[0]
    letter("grace", "grace@example.com", "2-a-b")
    here.paste(PAGE["send"])
    letter("ada", "ada@example.com", "3-c-d")
    here.paste(PAGE["send"] * 2)
    assert ["2-a-b" in mails[1], "3-c-d" in mails[2], len(mails)] == [True, True, 3]
    assert (tmp_path / "sent").stat().st_mode & 0o777 == 0o700
