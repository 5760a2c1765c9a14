"""Where the console listens: safe by default, and by TLS if it has a certificate."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused, because

_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>\d{1,5})"
)

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names that a browser on this machine may have for us."""


@frozen
class Where:
    """Where to listen, as the operator says it.

    Args:
        listen: `host:port`, `[v6 address]:port`, `unix:PATH`, or a Twisted endpoint string.
        tls: the files of a certificate, with its chain, and of its key; or None.
        hosts: by which further names browsers reach us, with or without a port.
        behind_proxy: whether a reverse proxy stands before us.

    Raises:
        Refused: others could reach it who should not.
    """

    listen: str
    tls: tuple[Path, Path] | None = None
    hosts: Collection[str] = ()
    behind_proxy: bool = False

    def __attrs_post_init__(self) -> None:
        if not (self.tls or self.behind_proxy or self.is_private):
            raise Refused(
                f"--listen {quoted(self.listen)}: tokens and codes would cross the network"
                " unprotected; give --tls CERTIFICATE KEY, or --behind-proxy HEADER if a reverse"
                " proxy with TLS stands before it"
            )

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach it."""
        if self.listen.startswith("unix:"):
            return True
        match = _HOST_AND_PORT.fullmatch(self.listen)
        if match is None:
            return False
        host = match["six"] or match["host"]
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by TLS."""
        return self.tls is not None

    @property
    def known_as(self) -> Collection[str]:
        """Every name by which a request may mean us, in lower case."""
        names = {each.strip().lower() for each in self.hosts}
        if self.is_private:
            names |= LOOPBACK
        match = _HOST_AND_PORT.fullmatch(self.listen)
        if match is not None:
            names.add(f"[{match['six']}]".lower() if match["six"] else match["host"].lower())
        return frozenset(names)

    def address(self, bound: Any) -> str:
        """Return the address for a browser, of what was bound."""
        host, port = getattr(bound, "host", None), getattr(bound, "port", None)
        if host is None or port is None:
            return "http://localhost"
        named = next(iter(sorted(self.hosts)), None)
        if named is None:
            host = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104 - no listening
            named = f"[{host}]" if ":" in host else host
        if ":" not in named.rpartition("]")[2]:
            named = f"{named}:{port}"
        return f"{'https' if self.secure else 'http'}://{named}"


def tls_context(certificate: Path, key: Path) -> Any:
    """Return what Twisted needs for TLS, from PEM files. Raises Refused."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates
    from OpenSSL.crypto import X509, PKey
    from twisted.internet.ssl import CertificateOptions, TLSVersion

    try:
        pem = certificate.read_bytes()
        private = key.read_bytes()
    except OSError as error:
        raise because(f"--tls {error.filename}", error) from None
    try:
        chain = [X509.from_cryptography(each) for each in load_pem_x509_certificates(pem)]
        loaded: Any = load_pem_private_key(private, None)
        own_key = PKey.from_cryptography_key(loaded)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("--tls: a certificate or its key is not what PEM files hold") from None
    return CertificateOptions(
        privateKey=own_key,
        certificate=chain[0],
        extraCertChain=chain[1:],
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
