"""The name that `holdfast.shell.typing.readline` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.codes.readline", "holdfast.shell.typing.readline")
