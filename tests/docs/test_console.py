"""What the manual says of the console and its API is what they have."""

import re
import shlex

import pytest

from holdfast.cli.commands import console, token
from holdfast.console.api.route import Route
from holdfast.console.api.routes import ROUTES
from holdfast.console.page import Page
from holdfast.console.pages import PAGES
from holdfast.console.viewers import Role
from holdfast.operating.audit import ACTIONS
from tests.console.chromium import shot_name
from tests.docs.conftest import DOCS

PAGE = (DOCS / "console.md").read_text()
API = (DOCS / "http-api.md").read_text()

OF_ALL = ("--db", "--relay", "--appid")


def test_every_option_is_described() -> None:
    """The page has a paragraph for each option, and for no other."""
    titles = re.findall(r"^(`--.+`)\n: ", PAGE, re.MULTILINE)
    described = re.findall(r"`(--[\w-]+)(?: [A-Z ]+)?`", " ".join(titles))
    options = [param.opts[0] for param in console.command.params if param.opts[0] not in OF_ALL]
    assert sorted(described) == sorted(options)


def test_the_commands_are_understood() -> None:
    """The examples have options that exist, with values that they take."""
    lines = re.findall(r"^\$ holdfast token (.+)$", PAGE + API, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        name, *words = shlex.split(line)
        token.command.commands[name].make_context(name, words)


def test_every_action_is_named() -> None:
    """The table of the audit has each, and no other."""
    table = PAGE.partition("## The audit")[2].partition("##")[0]
    rows = re.findall(r"^\| (`.+`) \|", table, re.MULTILINE)
    assert re.findall(r"`([^`]+)`", " ".join(rows)) == list(ACTIONS)


def test_every_page_has_a_picture() -> None:
    """Each page of the menu is shown, and each picture is used."""
    shown = re.findall(r"^ *!\[.+\]\(screenshots/([\w-]+)\.png\)$", PAGE, re.MULTILINE)
    pages = [each for each in PAGES if isinstance(each, Page) and each.menu is not None]
    assert {shot_name(each.path) for each in pages} <= set(shown)
    assert sorted(shown) == sorted(each.stem for each in (DOCS / "screenshots").iterdir())


def test_every_role_is_named() -> None:
    """In their order."""
    assert re.findall(r"^\| `(\w+)` \| (?:see|also)", PAGE, re.MULTILINE) == [
        each.word for each in Role
    ]


@pytest.mark.parametrize("route", ROUTES[1:], ids=lambda route: route.name)
def test_every_operation_is_named(route: Route) -> None:
    """With the role that it needs."""
    path = route.path.replace("<uid>", "UID")
    assert f"| `{route.method} /api/v1{path}` | {route.role.word} |" in API
