"""The manual, the alerts and the dashboard have the metrics and labels that there are."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from twisted.internet.task import Clock

from holdfast.flows.engine.observing import Move
from holdfast.operating.service import ServerNews
from holdfast.status import Connected, Status
from holdfast.telemetry.counting import FlowCounts
from holdfast.telemetry.gauges import Found, Gauges
from holdfast.telemetry.looked_up import LookedUp
from holdfast.telemetry.mailbox import MailboxCounts, MailboxGauges
from holdfast.telemetry.process import ProcessTelemetry
from holdfast_journal import FlowStatus, Group, SqlJournal
from tests.docs.conftest import DOCS

ADDED = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of a histogram's buckets."""

PAGE = (DOCS / "monitoring.md").read_text()
ALERTS = yaml.safe_load((DOCS / "holdfast-alerts.yml").read_text())
DASHBOARD = json.loads((DOCS / "holdfast-dashboard.json").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def found(value: Any) -> LookedUp[Any]:
    made = LookedUp(Clock(), lambda: value)
    made.last = value
    return made


def of_worker() -> Iterator[Metric]:
    """All that a worker can show, each with a sample."""
    process = ProcessTelemetry(Clock(), "worker")
    counts = FlowCounts(process.registry)
    counts.expect(["provision"])
    counts.took("provision", from_the_dead=True)
    for before, after, verdict in (("waiting", "exchanging", ""), ("exchanging", "done", "done")):
        counts.moved(Move("provision", before, after, verdict, 1.0))
    counts.tried("mint", "done", 1.0)
    yield from process.registry.collect()
    news = ServerNews(lambda _: None)
    news.hear(Status(Connected("ws://me:s3cr3t@relay.example.com:4000/v1?token=s3cr3t")))
    groups = [Group("waiting", "provision", finished=False, number=1)]
    with TemporaryDirectory() as folder:  # in memory there is no lease
        journal = SqlJournal.open_inline(f"sqlite:///{folder}/journal.db", environ={})
        journal.take()
        service: Any = SimpleNamespace(
            journal=journal, engine=SimpleNamespace(running={}), news=news
        )
        yield from Gauges(service, found(Found(groups, {"mint": 1}))).collect()
        journal.close()


def of_mailbox_server() -> Iterator[Metric]:
    """All that a mailbox server can show, each with a sample."""
    registry = CollectorRegistry()
    MailboxCounts(registry).wrote(1, 1.0)
    yield from registry.collect()
    server: Any = SimpleNamespace(
        connections=SimpleNamespace(number=0, refused=0, watches=SimpleNamespace(here=0)),
        turn=SimpleNamespace(is_well=True),
    )
    yield from MailboxGauges(server, found({"nameplates": 1})).collect()


@cache
def labels() -> dict[str, set[str]]:
    """The labels of each sample that there can be."""
    known: dict[str, set[str]] = {}
    for metric in (*of_worker(), *of_mailbox_server()):
        for sample in metric.samples:
            known.setdefault(sample.name, set()).update(sample.labels)
    return known


def documented() -> dict[str, set[str]]:
    """The labels of each metric, as the tables of the page have them."""
    rows = re.findall(r"^\| `(holdfast_\w+)` \|(.*?)\| (?:process|database) \|", PAGE, re.M)
    assert len(rows) == len(dict(rows))
    return {name: set(re.findall(r"`(\w+)`", words)) for name, words in rows}


def base(sample: str) -> str:
    """The name under which a sample is described."""
    return re.sub(r"_(bucket|count|sum)$", "", sample)


def test_every_metric_is_described() -> None:
    """The page has each metric with its labels, and no other."""
    ours = {
        base(name): found - {"le"}
        for name, found in labels().items()
        if name.startswith("holdfast_") and not name.endswith("_created")
    }
    assert documented() == ours


def test_no_label_is_a_secret() -> None:
    """Labels are kinds, words, tasks and servers; of a server's URL only the place is shown."""
    every = set().union(*labels().values()) - {"le"}
    assert every == {
        *("kind", "status", "contact", "task", "outcome", "server", "table"),
        *("version", "python", "service"),
    }
    shown = [sample for metric in of_worker() for sample in metric.samples]
    assert "ws://relay.example.com:4000/v1" in {each.labels.get("server") for each in shown}
    assert "s3cr3t" not in str(shown)


def expressions() -> list[str]:
    targets = [
        target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())
    ]
    assert len(targets) > 20
    return [*targets, *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("expression", expressions())
def test_a_question(expression: str) -> None:
    """It asks for samples that there are, by labels that they have, and for statuses as shown."""
    asked = re.findall(r"\b(up|(?:holdfast|process)_\w+)(?:\{([^}]*)\})?", expression)
    assert asked
    has = set(ADDED)
    for name, chosen in asked:
        assert name in labels() or name == "up"
        has |= labels().get(name, set())
        said = dict(re.findall(r'(\w+)=~?"([^"]*)"', chosen))
        assert said.keys() <= labels().get(name, set()) | ADDED
        if "status" in said:
            assert set(said["status"].split("|")) <= {status.shown for status in FlowStatus}
    for by in re.findall(r"by \(([^)]*)\)", expression):
        assert set(by.split(", ")) <= has


def test_the_alerts() -> None:
    """Each has a name of its own, a severity and words, whose labels are those of its question."""
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        words = rule["annotations"]["summary"]
        grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
        has = set(", ".join(grouped).split(", ")) if grouped else set(ADDED)
        if not grouped:
            for name in re.findall(r"\bholdfast_\w+", rule["expr"]):
                has |= labels()[name]
        assert set(re.findall(r"\$labels\.(\w+)", words)) <= has, rule["alert"]


def test_the_commands_are_understood() -> None:
    """The examples have options that exist."""
    commands = re.findall(r"^\$ holdfast (\w+) (.*)$", PAGE, re.M)
    assert commands
    for name, words in commands:
        import_module(f"holdfast.cli.commands.{name}").command.make_context(name, words.split())
