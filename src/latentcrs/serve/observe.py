"""What a server tells of itself: logs of one JSON object a line without anyone's words, and Prometheus metrics."""

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from structlog.typing import EventDict, Processor, WrappedLogger

from latentcrs.llm import ChatModel, ChatRequest, Completion, ModelError
from latentcrs.serve.tracing import ServerTracer
from latentcrs.store.session import Turn

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
LOG = structlog.stdlib.get_logger("latentcrs.serve")
if not structlog.is_configured():  # until `log_as_json`; never on standard output, which is for answers
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes count together."""
QUIET = ("httpx2", "httpcore2", "openai", "sentence_transformers", "alembic", "nicegui", "uvicorn.access")
"""Loggers of libraries of which only warnings are of interest; some repeat addresses and prompts."""


def log_as_json(stream: TextIO | None = None, words: bool = False) -> None:
    """Write log records as JSON lines. words: errors say what they were about, which may be in someone's words."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper("iso", utc=True),
        _errors(words),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers, root.level = [handler], logging.INFO
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _errors(words: bool) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """Exceptions as kind and places in the code; their messages only with `words`."""

    def shown(_: WrappedLogger, name: str, event: EventDict) -> EventDict:
        given = event.pop("exc_info", None)
        if given:
            error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
            if isinstance(error, BaseException):
                frames = traceback.extract_tb(error.__traceback__)
                event["error"] = type(error).__name__
                event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
                if words:
                    event["message"] = str(error)
                elif "Exception in ASGI application" in str(event.get("event")):
                    event["event"] = "Exception in ASGI application"  # uvicorn adds the traceback's text
        event.pop("color_message", None)
        return event

    return shown


class Metrics:
    """The figures of one server: turns, how long their steps take, language models, requests."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def count(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"latentcrs_{name}", about, labels, registry=self.registry)

        def time_of(name: str, about: str, label: str) -> Histogram:
            return Histogram(f"latentcrs_{name}_seconds", about, [label], buckets=SECONDS, registry=self.registry)

        self._turns = count("turns", "Turns.", "kind", "variant")
        self._steps = time_of("step", "Time of each step of a turn.", "step")
        self._relaxed = count("relaxed_turns", "Turns whose items do not pass every rule.")
        self._unknown = count("undecidable_turns", "Turns with a condition that the catalogue cannot decide.")
        self._noted = count("turns_without_model", "Turns that went on without a language model.")
        self._calls = count("model_calls", "Calls of the language model.", "purpose", "outcome")
        self._model_seconds = time_of("model", "Time of each call.", "purpose")
        self._tokens = count("model_tokens", "Tokens.", "direction")
        self._requests = count("requests", "HTTP requests.", "method", "route", "status")
        self._request_seconds = time_of("request", "Time of each HTTP request.", "route")
        self._bundles = count("bundles", "Bundles that were put in the place of the one served.", "outcome")

    def watch(
        self, live: Callable[[], int], since: Callable[[], float], unreadable: Callable[[], int] = lambda: 0
    ) -> None:
        """Tell how many conversations are in memory, when the bundle was read (seconds of Unix time), and how many
        rows of the store could not be; not where several processes count together, which cannot ask.
        """
        for name, about, asked in (
            ("live_conversations", "Conversations in memory.", live),
            ("unreadable_rows", "Rows of the store that were left out.", unreadable),
            ("bundle_timestamp_seconds", "When the bundle was read.", since),
        ):
            if VARIABLE not in os.environ:
                Gauge(f"latentcrs_{name}", about, registry=self.registry).set_function(asked)

    def bundle(self, outcome: str) -> None:
        """Count a bundle that was put in the place of the one served; `outcome`: "served" or "refused"."""
        self._bundles.labels(outcome).inc()

    def turn(self, turn: Turn) -> None:
        """Count a turn."""
        self._turns.labels(turn.kind, turn.variant).inc()
        for step, milliseconds in turn.milliseconds.items():
            self._steps.labels(step).observe(milliseconds / 1000)
        self._relaxed.inc(bool(turn.relaxed))
        self._unknown.inc(bool(turn.unknown))
        self._noted.inc(bool(turn.notes))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request. `route`: the path of its endpoint, not of the request, which may hold names."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def model_call(self, purpose: str, outcome: str, seconds: float, tokens: tuple[int, int]) -> None:
        """Count a call of a language model; `outcome`: "answered", or why there was no answer."""
        self._calls.labels(purpose, outcome).inc()
        self._model_seconds.labels(purpose).observe(seconds)
        for direction, count in zip(("input", "output"), tokens, strict=True):
            self._tokens.labels(direction).inc(count)

    def exposition(self) -> bytes:
        """All figures in Prometheus's text format; of all worker processes where there are several."""
        if VARIABLE not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)


class ObservedModel:
    """A chat model whose calls are counted, and are spans of traces."""

    def __init__(self, model: ChatModel, metrics: Metrics, tracing: ServerTracer | None = None) -> None:
        self.model, self.metrics, self.tracing = model, metrics, tracing or ServerTracer()

    @property
    def id(self) -> str:
        return self.model.id

    def complete(self, request: ChatRequest) -> Completion:
        began, call = time.perf_counter(), request.call

        def ended(outcome: str, tokens: tuple[int, int]) -> None:
            self.metrics.model_call(call.purpose, outcome, time.perf_counter() - began, tokens)
            told.say(latentcrs__outcome=outcome)
            told.say(gen_ai__usage__input_tokens=tokens[0], gen_ai__usage__output_tokens=tokens[1])

        with self.tracing.call(call.purpose, self.id) as told:
            try:
                found = self.model.complete(request)
            except ModelError as error:
                ended(error.outcome, (error.input_tokens, error.output_tokens))
                LOG.warning(
                    "a call of the language model failed",
                    model=self.id,
                    purpose=call.purpose,
                    outcome=error.outcome,
                    exc_info=error,
                )
                raise
            ended("answered", (0, 0) if found.cached else (found.input_tokens, found.output_tokens))
        return found
