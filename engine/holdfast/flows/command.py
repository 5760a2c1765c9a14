"""The name that `holdfast.flows.shipped.command` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.flows.command", "holdfast.flows.shipped.command")
