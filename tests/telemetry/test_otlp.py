"""Traces on their way to a tracing system: OTLP over HTTP, to a server that reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from holdfast_journal import SqlJournal
from tests.cli.journals import failed, move, run, start
from tests.harness.process import Holdfast
from tests.harness.service_manager import Listening
from tests.harness.waiting import until


@define(eq=False)
class Collector:
    """A tracing system, which accepts everything or refuses everything."""

    status: int = 200
    requests: list[Any] = field(factory=list)
    url: str = field(init=False)
    _server: HTTPServer = field(init=False)

    def __attrs_post_init__(self) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.status == 200:
                    collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with closing(Collector()) as collector:
        yield collector


def test_a_flow_that_has_ended(tmp_path: Path, collector: Collector) -> None:
    """It is sent once, by a command or by a service; a refusal is said, and sent again later."""
    path, notify = tmp_path / "holdfast.db", Listening(f"{tmp_path}/notify")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_RESOURCE_ATTRIBUTES": "a=b"}
    words = ("traces", "--state", str(tmp_path / "traces.json"))
    with closing(notify), closing(SqlJournal.open_inline(path, environ={})) as journal:
        flow = start(journal, "ann")["ann"]
        assert run(path, *words, "--once", **env).stdout == "0 spans sent\n"
        move(flow, "done", heard="server: has stored our pake", finished=True)
        collector.status = 400
        failed(run(path, *words, "--once", **env), "traces cannot be sent: ", "400")
        collector.status = 200
        home = Holdfast(tmp_path / "home", db=str(path), extra=env)
        with home.start(*words, NOTIFY_SOCKET=notify.address) as service:
            assert notify.heard() == ["READY=1"]
            until(collector.spans, service.describe)
            service.terminate()
            assert notify.heard() == ["STOPPING=1"]
            ended = service.wait()
        assert (ended.status, ended.err) == (0, "")
        [row] = journal.overview()
        assert run(path, *words, "--once", **env).stdout == "0 spans sent\n"
    *steps, root = collector.spans()
    assert (root.trace_id.hex(), root.parent_span_id, root.name) == (row.uid, b"", "flow provision")
    assert root.start_time_unix_nano == int(row.created_at * 1e9)
    assert root.end_time_unix_nano == int((row.finished_at or 0) * 1e9)
    assert {each.parent_span_id for each in steps} == {root.span_id}
    facts = {each.key: each.value for each in root.attributes}
    assert facts["holdfast.status"].string_value == "done"
    assert facts["holdfast.attempt"].int_value == 1
    about = collector.requests[0].resource_spans[0].resource.attributes
    assert {"service.name", "a"} <= {each.key for each in about}
    assert b"ann" not in collector.requests[0].SerializeToString()
