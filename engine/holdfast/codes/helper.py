"""The name that `holdfast.shell.typing.helper` had until release 0.2; see `holdfast.moved`."""

from holdfast.moved import moved

__getattr__ = moved("holdfast.codes.helper", "holdfast.shell.typing.helper")
