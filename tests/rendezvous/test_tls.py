"""Servers behind `wss:` are who they say they are, or they are not talked to."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates

from holdfast.rendezvous.dialer import Dialer, NamedServers
from tests.harness.reactor import run
from tests.rendezvous.reality import Waiter, listening, url
from tests.rendezvous.test_strange_servers import greeter, text

# Twisted's server side, which only these tests use, is behind pyOpenSSL's times.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def certificate(*names: str) -> PrivateCertificate:
    """A certificate for these names and addresses, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
                    for name in names
                ]
            ),
            critical=False,
        )
        .sign(key, SHA256())
    )
    return PrivateCertificate.loadPEM(
        made.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def trusting(*certificates: PrivateCertificate) -> Dialer:
    """A dialer that trusts these certificates alone."""
    root = trustRootFromCertificates([Certificate(each.original) for each in certificates])
    return Dialer(reactor, endpoints=NamedServers(reactor, root))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_trusted_server(host: str) -> None:
    """A trusted certificate for the right name or address opens; both sides can close."""
    ours = certificate("localhost", "127.0.0.1")

    async def dial() -> None:
        server = greeter(text(b"hello"))
        async with listening(server, tls=ours.options()) as (port, served):
            dialer = trusting(ours)
            for _ in range(2):
                waiter = Waiter()
                link = dialer.dial(url(port, host, "wss"), waiter)
                await waiter.until_messages(1)
                link.send("x" * 100_000)
                link.abort("enough")
                assert (await waiter.ending).reason == "enough"
                await served[-1].gone

    run(dial)


@pytest.mark.parametrize(
    ("names", "trusted", "reason"),
    [
        (("localhost",), False, "certificate verify failed"),
        (("elsewhere.example",), True, "TLS failed"),
    ],
)
def test_untrusted_server(names: tuple[str, ...], trusted: bool, reason: str) -> None:
    """An unknown certificate, or one for another name, ends before a byte is said."""
    ours, other = certificate(*names), certificate("localhost")

    async def dial() -> None:
        async with listening(greeter(b""), tls=ours.options()) as (port, served):
            waiter = Waiter()
            trusting(ours if trusted else other).dial(url(port, "localhost", "wss"), waiter)
            ended = await waiter.ending
            assert reason in ended.reason, ended
            assert served[0].heard == b""

    run(dial)


def test_server_without_tls() -> None:
    """A server that does not speak TLS is no server for `wss:`."""

    async def dial() -> None:
        async with listening(greeter(b"")) as (port, _):
            waiter = Waiter()
            dialer = Dialer(reactor, timeout=0.2)
            dialer.dial(url(port, "localhost", "wss"), waiter)
            ended = await waiter.ending
            assert not ended.clean

    run(dial)
