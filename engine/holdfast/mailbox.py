"""The name of `holdfast.server` until release 0.2: deprecated, and removed in 1.0."""

from warnings import warn

from holdfast import server

__all__ = server.__all__


def __getattr__(name: str) -> object:
    if name not in server.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn("holdfast.mailbox is called holdfast.server now", DeprecationWarning, stacklevel=2)
    return getattr(server, name)
