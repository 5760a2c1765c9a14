"""The name that `holdfast.transfer.text` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.flows.text", "holdfast.transfer.text")
