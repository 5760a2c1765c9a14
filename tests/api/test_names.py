"""Section "Full API list", and every other public name: importable, documented, with synonyms."""

import inspect
import subprocess
import sys
from typing import Any

import pytest

import holdfast
from holdfast.rendezvous.tor import TorManager
from tests.api.world import Net

SEED = [
    *("create", "from_serialized", "input_with_completion", "TorManager", "DebugTiming"),
    *("WormholeError", "WelcomeError", "ServerError", "LonelyError", "WrongPasswordError"),
    *("KeyFormatError", "OnlyOneCodeError", "NoKeyError", "WormholeClosed"),
    *("AlreadyChoseNameplateError", "AlreadyChoseWordsError", "MustChooseNameplateFirstError"),
    *("ServerConnectionError", "IJournal", "ImmediateJournal", "Journal", "SqlJournal"),
]


@pytest.mark.parametrize("name", holdfast.__all__)
def test_every_public_name_is_importable_and_documented(name: str) -> None:
    """And so is every public method of every public class."""
    value = getattr(holdfast, name)
    assert inspect.getdoc(value), name
    if inspect.isclass(value):
        for each, member in vars(value).items():
            if not each.startswith("_") and callable(member):
                assert inspect.getdoc(member), f"{name}.{each}"


@pytest.mark.parametrize("name", SEED)
def test_every_name_of_the_document_is_public(name: str) -> None:
    """What the document and its library name can be imported from `holdfast`."""
    assert name in holdfast.__all__


def test_every_error_but_wormhole_closed_is_a_wormhole_error() -> None:
    """So that one `except` catches them."""
    from holdfast import errors

    for name, value in vars(errors).items():
        if inspect.isclass(value) and issubclass(value, Exception):
            assert issubclass(value, holdfast.WormholeError) is (name != "WormholeClosed"), name


def test_unknown_names_are_attribute_errors() -> None:
    """A misspelt name is told as Python tells it."""
    with pytest.raises(AttributeError, match="no attribute 'creat'"):
        holdfast.creat  # noqa: B018


def test_importing_costs_little() -> None:
    """The package alone brings neither Twisted nor a database library."""
    script = "import sys, holdfast; print({'twisted', 'sqlalchemy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stdout == "set()\n"


class Way:
    """What knows a way through Tor, or says that it does."""

    def stream_via(self, host: str, port: int, tls: bool = False) -> Any:
        raise NotImplementedError


def test_synonyms(net: Net) -> None:
    """`tor_manager=` for `tor=`, and `code_length` for `length`; not both at once."""
    manager = TorManager(Way())
    net.create(tor_manager=manager)
    net.create(tor=manager)
    with pytest.raises(TypeError, match="the same"):
        net.create(tor=manager, tor_manager=manager)
    for mode in ({}, {"delegate": object()}):
        for arguments in ({"length": 1}, {"code_length": 1}):
            net.create(**mode).allocate_code(**arguments)


def test_parameters_by_place_are_those_of_the_library(net: Net) -> None:
    """`create(appid, relay_url, reactor, versions, delegate, journal, tor, timing)`."""
    names = list(inspect.signature(holdfast.create).parameters)
    assert names[:8] == [
        *("appid", "relay_url", "reactor"),
        *("versions", "delegate", "journal", "tor", "timing"),
    ]
    assert list(inspect.signature(holdfast.from_serialized).parameters)[:4] == [
        *("data", "reactor", "delegate", "journal"),
    ]
