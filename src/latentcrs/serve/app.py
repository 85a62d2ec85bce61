"""The HTTP server as one app: the native API, OpenAI's format, the page, health and metrics, behind one guard."""

import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any

import structlog
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from latentcrs import __version__
from latentcrs.base.errors import UserError
from latentcrs.llm import open_chat_model
from latentcrs.recommend.policy import read_policies
from latentcrs.serve import native
from latentcrs.serve.caller import Callers
from latentcrs.serve.guard import API_POLICY, Guard
from latentcrs.serve.keys import Keys
from latentcrs.serve.limits import Rates
from latentcrs.serve.observe import Metrics, ObservedModel, log_as_json
from latentcrs.serve.problems import Problem, documented
from latentcrs.serve.refusals import add_refusals
from latentcrs.serve.service import Service
from latentcrs.serve.settings import VARIABLE, Settings
from latentcrs.serve.swap import BundleWatch
from latentcrs.serve.threads import Threads
from latentcrs.serve.tracing import ServerTracer, tracing_of_environment
from latentcrs.store.conversations import ConversationStore

LOG = structlog.stdlib.get_logger("latentcrs.serve")
DESCRIPTION = """Recommendations and conversations with one trained bundle.

Errors are problem documents (RFC 9457). Every answer has an `X-Request-ID`, yours where you sent one.
"""


def create_app(settings: Settings, service: Service | None = None, tracing: ServerTracer | None = None) -> FastAPI:
    """The app of one process. `service`: the one to use in place of opening the bundle. `tracing`: that to use in
    place of what the environment says.

    Raises:
        UserError: something in the settings that does not exist or does not fit.
    """
    metrics, tracing = Metrics(), tracing or tracing_of_environment()
    if service is None:
        model = open_chat_model(settings.llm)
        service = Service(
            settings.bundle,
            ConversationStore(settings.db),
            model=None if model is None else ObservedModel(model, metrics, tracing),
            rules=settings.rules,
            talks=settings.talks,
            device=settings.device,
            live=settings.live,
            patience=settings.patience,
            policies=read_policies(settings.policy),
            asks=settings.asks,
        )
        if settings.beside is not None:
            service.try_beside(settings.beside, settings.beside_share)
    service.on_turn, service.tracing = metrics.turn, tracing
    metrics.watch(
        service.live_conversations, lambda: service.served.since.timestamp(), lambda: service.store.unreadable
    )
    keys = None if settings.keys_file is None else Keys(settings.keys_file)
    if keys is not None:
        for one in (service, service.beside):
            if one is not None:
                one.people.knows_dataset = keys.knows_dataset
    rates, threads = Rates(*settings.rates, settings.rates_url), Threads(settings.threads, settings.turn_seconds)
    callers = Callers(keys, rates)
    warmed, watches = Warmth(service), [BundleWatch(service, settings.watch_seconds, metrics.bundle)]
    if service.beside is not None:
        watches.append(BundleWatch(service.beside, settings.watch_seconds, metrics.bundle))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warmed.begin()
        for watch in watches:
            watch.begin()
        try:
            yield
        finally:
            for watch in watches:
                watch.end()
            await run_in_threadpool(tracing.close)

    app = FastAPI(
        title="LatentCRS",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the usual pages load their scripts from other hosts
        redoc_url=None,
    )
    app.state.service, app.state.settings, app.state.keys = service, settings, keys
    add_refusals(app)
    known = [Depends(callers.known)]
    app.include_router(native.router(service, settings, callers, threads), dependencies=known)
    app.include_router(native.moved())
    if settings.openai:
        from latentcrs.serve.openai_api import router as openai_router

        spent = [*known, Depends(callers.turn_on_post)]
        longest, images = settings.utterance_characters, settings.image_hosts
        openai = openai_router(service, callers, threads, longest, images)
        app.include_router(openai, dependencies=spent)
    _add_health(app, warmed)

    answers = TEXT | documented(401, 429)

    @app.get("/metrics", tags=["server"], dependencies=known, response_class=Response, responses=answers)
    def figures() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    policy = API_POLICY
    if settings.page:
        from latentcrs.web.mount import CONTENT_SECURITY_POLICY, mount

        mount(app, service, settings, keys, rates, threads)
        named = "".join(f" https://{host} http://{host}" for host in sorted(settings.image_hosts))
        policy = CONTENT_SECURITY_POLICY.replace("img-src 'self'", f"img-src 'self'{named}")
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After", "Location"],
        )
    # The last is the outermost.
    app.add_middleware(Guard, settings=settings, metrics=metrics, tracing=tracing, page_policy=policy)
    app.openapi = _schema_of(app, keys is not None)  # type: ignore[method-assign]
    return app


def from_environment() -> FastAPI:
    """The app of a worker process, whose settings the parent left in the environment."""
    gc.disable()
    settings = Settings.model_validate_json(os.environ[VARIABLE])
    log_as_json(words=settings.log_words)
    return create_app(settings)


class Warmth:
    """Loads in the background what the first turn would wait for; turns that come before wait for it.

    Where `run` has switched the search for garbage off, which takes a quarter of the start, it is on again after
    this; what is there by then stays, and is not looked through any more.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ready = False
        self.failed = ""
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Begin to load, once."""
        if self._thread is None:
            self._thread = Thread(target=self._load, name="warming", daemon=True)
            self._thread.start()

    def _load(self) -> None:
        try:
            self.service.warm()
            self.ready = True
            LOG.info("ready", bundle=self.service.bundle_name)
        except UserError as error:
            self.failed = str(error)
            LOG.error("not ready", reason=str(error))
        finally:
            if not gc.isenabled():
                gc.freeze()
                gc.enable()


TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


def _add_health(app: FastAPI, warmed: Warmth) -> None:
    @app.get("/health/live", tags=["server"])
    def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @app.get("/health/ready", tags=["server"], responses={503: {"description": "Not yet."}})
    def ready() -> JSONResponse:
        """Models are loaded and the store answers: send people here."""
        status = _readiness(warmed)
        return JSONResponse({"status": status}, 200 if status == "ready" else 503)

    @app.get("/health", tags=["server"])
    def health() -> dict[str, str]:
        """Both at once, and which bundle is served since when: the beginning of the SHA-256 of its `bundle.json`.
        Always 200 while the process answers.
        """
        served = warmed.service.served
        since = served.since.isoformat(timespec="seconds")
        return {"live": "live", "ready": _readiness(warmed), "bundle": served.fingerprint, "since": since}


def _readiness(warmed: Warmth) -> str:
    if not warmed.ready:
        return "failed" if warmed.failed else "warming up"
    try:
        warmed.service.store.head("")
    except UserError:
        return "no store"
    return "ready"


def _schema_of(app: FastAPI, keys: bool) -> Callable[[], dict[str, Any]]:
    """OpenAPI with problem documents in place of FastAPI's errors, and without keys where none is asked for."""
    built = app.openapi

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = built()
            parts = found.setdefault("components", {}).setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
            parts |= problem.pop("$defs", {}) | {"Problem": problem}
            for unused in ("HTTPValidationError", "ValidationError"):
                parts.pop(unused, None)
            if not keys:
                found["components"].pop("securitySchemes", None)
            for operation in (one for path in found["paths"].values() for one in path.values()):
                if not keys:
                    operation.pop("security", None)
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    operation["responses"] |= {str(status): said for status, said in documented(422).items()}
        return app.openapi_schema or {}

    return schema
