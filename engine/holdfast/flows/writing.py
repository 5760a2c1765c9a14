"""The name that `holdfast.flows.shipped.writing` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.flows.writing", "holdfast.flows.shipped.writing")
