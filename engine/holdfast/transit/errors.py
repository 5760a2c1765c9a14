"""What can go wrong between two sides that exchange bulk data. No text carries a key or content."""

from holdfast.errors import WormholeError


class TransitError(WormholeError):
    """There is no connection to the other side, or it broke the protocol of transit."""

    advice = "The connection for the transfer failed."


class WireError(TransitError):
    """A connection ended, went silent or was interrupted."""

    advice = "The connection to the other side broke."


class RecordError(TransitError):
    """The other side sent what is not the next record of this connection."""

    advice = "The other side sent something that is not a record of this transfer."
