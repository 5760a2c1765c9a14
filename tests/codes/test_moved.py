"""What types a code is in the shell now; programs that import it from here still work."""

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("holdfast.codes.helper", "holdfast.shell.typing.helper", "InputHelper"),
        ("holdfast.codes.readline", "holdfast.shell.typing.readline", "input_with_completion"),
    ],
)
def test_modules(old: str, new: str, name: str) -> None:
    """What was in a module is found there, with a warning that says where it is now."""
    with pytest.warns(DeprecationWarning, match=f"{old} is called {new} now"):
        assert getattr(import_module(old), name) is getattr(import_module(new), name)
