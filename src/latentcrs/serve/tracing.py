"""OpenTelemetry traces: requests, turns with their steps, calls of language models. Nobody's words are in them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from latentcrs import __version__
from latentcrs.base.errors import UserError
from latentcrs.converse.steps import watched
from latentcrs.store.session import Turn

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

LOG = logging.getLogger("latentcrs.serve")
NOT_STEPS = frozenset({"total"})
"""What is timed as a step and is none: the turn itself."""


class TraceSpan:
    """What is going on, as a trace has it: its name, and what is known of it. Without a trace nobody listens."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def called(self, name: str) -> None:
        """It has another name than it began with."""
        if self._span is not None:
            self._span.update_name(name)

    def say(self, **known: str | int | float | bool) -> None:
        """Add attributes; "__" stands for a dot in their names."""
        if self._span is not None:
            self._span.set_attributes({name.replace("__", "."): value for name, value in known.items()})

    def failed(self, kind: str) -> None:
        """It ended in a fault of this kind."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", kind)
            self._span.set_status(StatusCode.ERROR)

    @property
    def trace_id(self) -> str:
        """By which a log finds the trace; "" where there is none."""
        return "" if self._span is None else format(self._span.get_span_context().trace_id, "032x")


class ServerTracer:
    """The traces of one server. Each of its context managers is a span, the parent of those that begin within."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """`provider`: where spans go; None: there are none."""
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("latentcrs", __version__)

    def close(self) -> None:
        """Send what was not sent yet (seconds, where nobody takes it)."""
        if self._provider is not None:
            self._provider.shutdown()

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[TraceSpan]:
        """An HTTP request; a part of the caller's trace, where its headers say so."""
        context = None
        if self._tracer is not None:
            from opentelemetry.propagate import extract

            context = extract(headers)
        with self._span(method, "SERVER", context) as told:
            yield told

    @contextmanager
    def turn(self) -> Iterator[Callable[[Turn], None]]:
        """A turn and its steps; what is yielded is to be told how it ended."""
        if self._tracer is None:
            yield lambda turn: None
            return
        with self._span("turn") as told, watched(self._step):
            yield lambda turn: told.say(
                latentcrs__turn__kind=turn.kind,
                latentcrs__turn__variant=turn.variant,
                latentcrs__turn__number=turn.number,
                latentcrs__turn__items=len(turn.items),
                latentcrs__turn__rules=len(turn.rules),
                latentcrs__turn__relaxed=len(turn.relaxed),
                latentcrs__turn__undecidable=len(turn.unknown),
                latentcrs__turn__notes=len(turn.notes),
            )

    @contextmanager
    def call(self, purpose: str, model: str) -> Iterator[TraceSpan]:
        """A call of a language model."""
        with self._span(f"chat {purpose}", "CLIENT") as told:
            told.say(
                gen_ai__operation__name="chat",
                gen_ai__request__model=model.partition("@")[0],
                latentcrs__purpose=purpose,
            )
            yield told

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        if name in NOT_STEPS:
            yield
        else:
            with self._span(name):
                yield

    @contextmanager
    def _span(self, name: str, kind: str = "INTERNAL", context: Any = None) -> Iterator[TraceSpan]:
        if self._tracer is None:
            yield TraceSpan()
            return
        from opentelemetry.trace import SpanKind

        # By default a span keeps the messages of exceptions, and what they are about may be in someone's words.
        begun = self._tracer.start_as_current_span(
            name, context, SpanKind[kind], record_exception=False, set_status_on_exception=False
        )
        with begun as span:
            told = TraceSpan(span)
            try:
                yield told
            except UserError as error:
                told.say(error__type=type(error).__name__)
                raise
            except Exception as error:
                told.failed(type(error).__name__)
                raise


def tracing_of_environment() -> ServerTracer:
    """As the standard variables OTEL_* say: to the OTLP endpoint that they name (http/protobuf), without one nowhere.

    What keeps traces from being sent where an endpoint is named is said in the log.
    """
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or not _setting("ENDPOINT") or os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return ServerTracer()
    if _setting("PROTOCOL") not in ("", "http/protobuf"):
        LOG.warning("no traces: they are sent by http/protobuf alone, not by %s", _setting("PROTOCOL"))
        return ServerTracer()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        LOG.warning("no traces: the package of %s is missing; pip install 'latentcrs[otel]'", error.name)
        return ServerTracer()
    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "latentcrs"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return ServerTracer(provider)


def _setting(name: str) -> str:
    """What the variables of the OTLP exporter say, those of traces first."""
    of_traces = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "")
    return of_traces or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
