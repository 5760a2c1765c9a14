"""TLS to a server whose certificate is checked; nothing of it is imported before it is needed."""

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer  # type: ignore[import-untyped]


@define(eq=False)
class Contexts:
    """What checks certificates, against `trust_root` or what the platform trusts.

    There is one for each name, because OpenSSL keeps every certificate that is trusted in each.
    """

    _trust_root: Any = field(repr=False)
    _by_name: dict[str, Any] = field(factory=dict, init=False, repr=False)

    def over(self, endpoint: Any, host: str) -> Any:
        """Return an endpoint that is `endpoint` with TLS, to the server called `host`."""
        from twisted.internet.ssl import optionsForClientTLS

        if host not in self._by_name:
            self._by_name[host] = optionsForClientTLS(host, trustRoot=self._trust_root)
        return _OverTls(endpoint, self._by_name[host])


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _OverTls:
    """Does what Twisted's `wrapClientTLS` does, also after `import_plain_reactor`."""

    _endpoint: Any
    _context: Any

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect, and return the protocol of `factory` and not the one around it."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        wrapping = TLSMemoryBIOFactory(self._context, True, factory)  # noqa: FBT003 - the client
        connecting: Deferred[Any] = self._endpoint.connect(wrapping)
        return connecting.addCallback(lambda around: around.wrappedProtocol)
