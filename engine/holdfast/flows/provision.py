"""The name that `holdfast.flows.shipped.provision` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.flows.provision", "holdfast.flows.shipped.provision")
