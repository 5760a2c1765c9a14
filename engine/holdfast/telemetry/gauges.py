"""`Gauges`: how a process that runs flows, and its database, are at the moment of a scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import define, frozen
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast.operating.summing import contacts
from holdfast.telemetry.counting import shown
from holdfast.telemetry.looked_up import LookedUp
from holdfast_journal import Filter, Group, SqlJournal

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from holdfast.operating.service import Service


@frozen
class Found:
    """What the database says of its flows."""

    groups: Sequence[Group]
    tasks: Mapping[str, int]
    version: int | None = None
    """Of the database; see `SqlJournal.data_version`."""

    @classmethod
    def look(cls, journal: SqlJournal, last: Found | None = None) -> Found:
        """Count, unless it is as it was at the `last` count; for a thread.

        Raises DatabaseUnusable.
        """
        version = journal.data_version()  # before the count, which may miss what comes meanwhile
        if last is not None and version is not None and last.stands_at(version):
            return last
        return cls(journal.groups(Filter()), journal.open_tasks(), version)

    def stands_at(self, version: int) -> bool:
        """Whether it is what would be counted at this version."""
        # A worker may die without changing that.
        return version == self.version and all(each.owner_alive is None for each in self.groups)


def server_of(url: str) -> str:
    """What a mailbox server is called in a label: its URL without a user, a query or a fragment."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "?"
    host = parts.hostname or ""
    where = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{where}{port}{parts.path}"[:200]


@define(eq=False)
class Gauges(Collector):
    """Made anew for each scrape, in the reactor's thread, from what is in memory."""

    _service: Service
    _found: LookedUp[Found]

    def collect(self) -> Iterator[Metric]:
        """The metrics, as Prometheus' package has them."""
        yield from self._of_database()
        yield from self._of_worker()
        yield from self._of_servers()

    def _of_database(self) -> Iterator[Metric]:
        flows = GaugeMetricFamily(
            "holdfast_flows", "Flows in the database.", labels=["kind", "status"]
        )
        tasks = GaugeMetricFamily("holdfast_tasks", "Tasks that are not over.", labels=["task"])
        stranded = GaugeMetricFamily(
            "holdfast_flows_stranded", "Unfinished flows whose worker has died."
        )
        unloaded = GaugeMetricFamily(
            "holdfast_flows_unloaded", "Unfinished flows that no worker so far could load."
        )
        contact = GaugeMetricFamily(
            "holdfast_flows_under_way",
            "Flows that have begun and are not over, by how they hear of their recipients.",
            labels=["contact"],
        )
        age = GaugeMetricFamily(
            "holdfast_counts_age_seconds", "How long ago the flows of the database were counted."
        )
        found = self._found.last
        if found is not None:
            alike = Counter[tuple[str, str]]()
            for group in found.groups:
                alike[group.kind, shown(group.status)] += group.number
            for (kind, status), number in alike.items():
                flows.add_metric([kind, status], number)
            for task, number in found.tasks.items():
                tasks.add_metric([task], number)
            stranded.add_metric(
                [], sum(group.number for group in found.groups if group.owner_alive is False)
            )
            unloaded.add_metric([], sum(group.unloaded for group in found.groups))
            for way, number in contacts(found.groups).items():
                contact.add_metric([way], number)
            age.add_metric([], self._found.age or 0.0)
        yield from (flows, tasks, stranded, unloaded, contact, age)

    def _of_worker(self) -> Iterator[Metric]:
        vitals = self._service.journal.vitals()
        yield GaugeMetricFamily(
            "holdfast_database_usable",
            "Whether the database answers, as far as is known.",
            int(vitals.usable),
        )
        lease = GaugeMetricFamily(
            "holdfast_lease_left_seconds",
            "For how long other workers will certainly leave our flows alone.",
        )
        if vitals.lease_left is not None:
            lease.add_metric([], vitals.lease_left)
        yield lease
        yield CounterMetricFamily(
            "holdfast_lease_lapses",
            "How often others may have taken this worker for dead.",
            vitals.lapses,
        )
        yield GaugeMetricFamily(
            "holdfast_commits_waiting",
            "Commits that are not durable, or not let out, yet.",
            vitals.commits_waiting,
        )
        yield GaugeMetricFamily(
            "holdfast_commits_waiting_bytes", "Their size in memory.", vitals.bytes_waiting
        )
        yield GaugeMetricFamily(
            "holdfast_flows_running",
            "Flows that this process runs; others that only wait are parked.",
            len(self._service.engine.running),
        )

    def _of_servers(self) -> Iterator[Metric]:
        connected = Counter[str]()
        for runner in self._service.engine.running.values():
            connected[runner.url] += runner.wormhole.is_connected
        reachable: dict[str, bool] = {}
        for url, is_well in self._service.news.reachable.items():
            reachable[server_of(url)] = is_well and reachable.get(server_of(url), True)
        connections = GaugeMetricFamily(
            "holdfast_connections", "Open connections to mailbox servers.", labels=["server"]
        )
        alike = Counter[str](dict.fromkeys(reachable, 0))
        for url, number in connected.items():
            alike[server_of(url)] += number
        for server, number in alike.items():
            connections.add_metric([server], number)
        yield connections
        servers = GaugeMetricFamily(
            "holdfast_server_reachable",
            "Whether a mailbox server could be reached when that was last tried.",
            labels=["server"],
        )
        for server, is_well in reachable.items():
            servers.add_metric([server], int(is_well))
        yield servers
