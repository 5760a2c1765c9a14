"""The name that `holdfast.server` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.mailbox", "holdfast.server")
