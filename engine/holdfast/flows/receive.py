"""The name that `holdfast.flows.shipped.receive` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.flows.receive", "holdfast.flows.shipped.receive")
