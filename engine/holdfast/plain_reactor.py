"""Twisted's reactor without OpenSSL, for processes that most often need no TLS.

Twisted's sockets import pyOpenSSL wherever it is installed, and with it `cryptography`: 15 MB and a
tenth of a second. Twisted works without it, too, as it does where it is not installed.
"""

import sys


def import_plain_reactor() -> None:
    """Import the reactor and what connects, as if pyOpenSSL were not there; then it is there again.

    What needs TLS later imports it then, as `rendezvous.tls` does. What does not work any more are
    the reactor's `connectSSL` and `listenSSL`, `startTLS` of a connection, and TLS by Twisted's
    endpoints. If any of it has been imported already, nothing happens.
    """
    if {"OpenSSL", "twisted.internet.tcp", "twisted.internet.endpoints"} & sys.modules.keys():
        return
    # The language's reference has it, "The module cache": such an import raises an ImportError.
    sys.modules["OpenSSL"] = None  # type: ignore[assignment]
    try:
        import twisted.internet.endpoints
        import twisted.internet.reactor  # noqa: F401 - installs it
    finally:
        del sys.modules["OpenSSL"]
