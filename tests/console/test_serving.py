"""The console over real sockets, with real threads: TLS, a socket in the file system, bad files."""

from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from holdfast.console.listening import Where
from holdfast.console.service import service
from holdfast.operating.refused import Refused
from holdfast_journal import SqlJournal
from tests.harness.reactor import run
from tests.rendezvous.test_tls import certificate

# Twisted's server side is behind pyOpenSSL's times, and its client behind its own.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using readBody:DeprecationWarning"),
]


def files(made: PrivateCertificate, folder: Path) -> tuple[Path, Path]:
    """The certificate and its key as PEM files."""
    key = made.privateKey.original.to_cryptography_key()
    both = (
        made.original.to_cryptography().public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    paths = folder / "cert.pem", folder / "key.pem"
    for path, text in zip(paths, both, strict=True):
        path.write_bytes(text)
    return paths


@implementer(IAgentEndpointFactory)
@frozen
class ToSocket:
    """Leads every address to one socket in the file system."""

    path: Path

    def endpointForURI(self, _: object) -> Any:  # noqa: N802
        return UNIXClientEndpoint(reactor, str(self.path))


def agent_for(where: Where, made: PrivateCertificate, path: Path) -> Any:
    """A client that trusts this certificate alone, or that talks to the socket."""
    if where.tls is None:
        return Agent.usingEndpointFactory(reactor, ToSocket(path))
    root = trustRootFromCertificates([Certificate(made.original)])
    return Agent(reactor, BrowserLikePolicyForHTTPS(root))


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "unix"])
def test_somebody_comes_in(journal: SqlJournal, tmp_path: Path, tls: bool) -> None:
    """By the address that is printed; the cookie leads to the flows."""
    made = certificate("127.0.0.1")
    path = tmp_path / "socket"
    listen = "127.0.0.1:0" if tls else f"unix:{path}"
    where = Where(listen, files(made, tmp_path) if tls else None)
    served = service(reactor, journal, where, relay="ws://relay", appid="appid")

    async def come_in() -> None:
        served.startService()
        try:
            address = await served.when_listening()
            assert address.startswith("https://127.0.0.1:" if tls else "http://localhost/login?")
            agent = agent_for(where, made, path)
            got = await agent.request(b"GET", address.encode())
            assert got.code == 303
            (cookie,) = got.headers.getRawHeaders("set-cookie")
            assert ("Secure" in cookie) == tls
            assert got.headers.hasHeader("strict-transport-security") == tls
            await readBody(got)
            flows = f"{address.partition('/login')[0]}/flows".encode()
            got = await agent.request(b"GET", flows, Headers({"cookie": [cookie.split(";")[0]]}))
            assert b">ann</a>" in await readBody(got)
            if not tls:
                assert path.stat().st_mode & 0o777 == 0o660
        finally:
            await served.stopService()

    run(come_in)


@pytest.mark.parametrize(
    ("certificate_text", "key_text", "why"),
    [
        (b"", None, "not what PEM files hold"),
        (None, b"", "not what PEM files hold"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None, "not what PEM"),
    ],
)
def test_files_that_are_not_a_certificate(
    journal: SqlJournal,
    tmp_path: Path,
    certificate_text: bytes | None,
    key_text: bytes | None,
    why: str,
) -> None:
    """It is said before anything listens."""
    paths = files(certificate("127.0.0.1"), tmp_path)
    for path, text in zip(paths, (certificate_text, key_text), strict=True):
        if text is not None:
            path.write_bytes(text)
    with pytest.raises(Refused, match=why):
        service(reactor, journal, Where("127.0.0.1:0", paths), relay="ws://r", appid="a")


def test_files_that_are_not_there(journal: SqlJournal, tmp_path: Path) -> None:
    """They are named."""
    where = Where("127.0.0.1:0", (tmp_path / "c", tmp_path / "k"))
    with pytest.raises(Refused, match="/c: No such file"):
        service(reactor, journal, where, relay="ws://r", appid="a")


def test_an_address_that_is_none(journal: SqlJournal) -> None:
    """It is named."""
    with pytest.raises(Refused, match="--listen: cannot listen on"):
        service(reactor, journal, Where("nonsense", behind_proxy=True), relay="ws://r", appid="a")
