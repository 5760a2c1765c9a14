"""Programs that import modules by the names of release 0.2 still work."""

from importlib import import_module

import pytest

from holdfast.flows.engine.engine import Engine


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("holdfast.flows.provision", "holdfast.flows.shipped.provision", "Provision"),
        ("holdfast.flows.receive", "holdfast.flows.shipped.receive", "Receive"),
        ("holdfast.flows.command", "holdfast.flows.shipped.command", "TIMEOUT"),
        ("holdfast.flows.writing", "holdfast.flows.shipped.writing", "write_file"),
        ("holdfast.flows.text", "holdfast.transfer.text", "APPID"),
        ("holdfast.mailbox", "holdfast.server", "MailboxService"),
    ],
)
def test_modules(old: str, new: str, name: str) -> None:
    """What was in a module is found there, with a warning that says where it is now."""
    with pytest.warns(DeprecationWarning, match=f"{old} is called {new} now"):
        found = getattr(import_module(old), name)
    assert found is getattr(import_module(new), name)
    with pytest.raises(AttributeError):
        _ = import_module(old).nothing_of_this_name


def test_the_engine() -> None:
    """`holdfast.flows.engine` was a module, and is a room now."""
    assert import_module("holdfast.flows.engine").Engine is Engine
