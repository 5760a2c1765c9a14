"""Sending spans by OTLP over HTTP, as the OpenTelemetry SDK does it.

Its environment variables say where to, and how: OTEL_EXPORTER_OTLP_ENDPOINT and the others of the
OpenTelemetry specification, "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from attrs import define, field
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from holdfast.operating.printable import printable
from holdfast.telemetry.spans import Span
from holdfast.telemetry.tracing import NotSent
from holdfast.version import VERSION

_SCOPE = InstrumentationScope("holdfast", VERSION)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_STATUS = {None: StatusCode.UNSET, True: StatusCode.OK, False: StatusCode.ERROR}


class _Last(logging.Handler):
    """Keeps the SDK's last words, which say why it could not send."""

    words = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep them."""
        self.words = printable(record.getMessage(), 300)


@define(eq=False)
class Otlp:
    """Sends spans. Called with some, it returns when they are accepted, and raises NotSent."""

    _resource: Resource = field(
        factory=lambda: Resource.create({"service.name": "holdfast", "service.version": VERSION})
    )
    _exporter: OTLPSpanExporter = field(factory=OTLPSpanExporter)
    _last: _Last = field(factory=_Last, init=False)

    def __attrs_post_init__(self) -> None:
        log = logging.getLogger("opentelemetry.exporter")
        log.addHandler(self._last)
        log.propagate = False

    def __call__(self, some: Sequence[Span]) -> None:
        """Send them."""
        self._last.words = ""
        result = self._exporter.export([self._readable(each) for each in some])
        if result is not SpanExportResult.SUCCESS:
            raise NotSent(self._last.words or "they were not accepted")

    def close(self) -> None:
        """Give up what the exporter keeps open."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        logging.getLogger("opentelemetry.exporter").removeHandler(self._last)

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace, span.id),
            parent=None if span.parent is None else _context(span.trace, span.parent),
            resource=self._resource,
            attributes=span.attributes,
            status=Status(_STATUS[span.ok]),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=_SCOPE,
        )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
