"""What a transfer takes of a machine's memory is mostly what it imports, so that is little."""

import json
import subprocess
import sys
from pathlib import Path

from holdfast.operating import garbage
from tests.harness.process import environment

UNNEEDED = {
    "OpenSSL",
    "cryptography.x509",
    "holdfast.console",
    "holdfast.dilation",
    "holdfast.telemetry",
    "jinja2",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "rich.console",
    "rich.table",
    "service_identity",
    "twisted.internet.ssl",
    "twisted.web",
}
"""What a transfer through `ws:` and TCP needs nothing of."""

PROGRAM = """
import gc, json, sys
from pathlib import Path
from holdfast.cli.main import main

found, *sys.argv[1:] = sys.argv[1:]
try:
    main()
except SystemExit:
    modules = sorted(sys.modules)
collecting = gc.get_threshold()[0], gc.get_freeze_count()

from twisted.internet.defer import succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from holdfast.rendezvous.tls import Contexts

class Endpoint:
    def connect(self, factory):
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        return succeed(protocol)

transport, got = StringTransport(), []
over_tls = Contexts(None).over(Endpoint(), "localhost")
over_tls.connect(Factory.forProtocol(Protocol)).addCallback(got.append)
said = transport.value()[:3].hex()
Path(found).write_text(json.dumps([modules, said, type(got[0]).__name__, collecting]))
"""


def test_a_sender_imports_no_tls_and_no_tables_until_they_are_needed(tmp_path: Path) -> None:
    """Nor anything else that a transfer does without; TLS works when it is asked for later."""
    found = tmp_path / "found"
    words = ("send", "--text", "x", "--for", "1s", "--relay", "ws://127.0.0.1:1/v1")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, found, *words, "--db", f"sqlite:///{tmp_path}/db"],
        env=environment(HOLDFAST_KEY="5a" * 32),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "the time is over" in ran.stderr
    modules, said, protocol, (young, left_alone) = json.loads(found.read_text())
    assert "holdfast.flows.engine.engine" in modules
    assert UNNEEDED.intersection(modules) == set()
    assert (said, protocol) == ("160301", "Protocol")  # a handshake of TLS
    # And the garbage collector never looks at what was imported.
    assert young == garbage.YOUNG and left_alone > 100_000
