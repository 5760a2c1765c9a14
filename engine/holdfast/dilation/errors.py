"""What a peer can do wrong. No text carries a key or content."""


class ProtocolError(Exception):
    """The peer broke the protocol on a connection, which is then of no use. A few words say how.

    Only that connection ends; the next one makes up for it.
    """


class NoiseError(ProtocolError):
    """What came was not encrypted by somebody with our key, or was changed on its way."""
