"""What every request passes first: its id, host, origin and size; and what every answer has."""

import re
import time
import uuid
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentcrs.serve.bounds import keep_slashes
from latentcrs.serve.observe import Metrics
from latentcrs.serve.refusals import refusal
from latentcrs.serve.settings import Settings
from latentcrs.serve.tracing import ServerTracer, TraceSpan

REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
UNINTERESTING = ("/health", "/metrics", "/web/", "/_nicegui")
"""Paths whose requests are in no trace: asked every few seconds, or files of the page."""
UNTRACED = ServerTracer()
LOG = structlog.stdlib.get_logger("latentcrs.requests")


class Guard:
    """ASGI middleware, the outermost. page_policy: the content security policy of HTML."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, tracing: ServerTracer, page_policy: str
    ) -> None:
        self.app, self.settings, self.page_policy = app, settings, page_policy
        self.metrics, self.tracing = metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            keep_slashes(scope)
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket" and self._wrong(scope) is not None:
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began, status, started = time.perf_counter(), 500, False

        async def sending(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                self._complete(MutableHeaders(scope=message), request_id)
            await send(message)

        traced = UNTRACED if scope["path"].startswith(UNINTERESTING) else self.tracing
        with traced.request(_method(scope), Headers(scope=scope)) as told:
            if told.trace_id:
                structlog.contextvars.bind_contextvars(trace_id=told.trace_id)
            try:
                wrong = self._wrong(scope)
                if wrong is None:
                    await self.app(scope, self._measured(receive), sending)
                else:
                    await refusal(scope["path"], wrong, request_id)(scope, receive, sending)
            except Exception as error:
                LOG.exception("fault", route=_route(scope))
                told.failed(type(error).__name__)
                if started:
                    raise
                await refusal(scope["path"], error, request_id)(scope, receive, sending)
            finally:
                self._ended(scope, status, time.perf_counter() - began, told)

    def _ended(self, scope: Scope, status: int, seconds: float, told: TraceSpan) -> None:
        """Count, trace and log a request."""
        method, route = _method(scope), _route(scope)
        self.metrics.request(method, route, status, seconds)
        told.called(f"{method} {route}" if route != "none" else method)
        told.say(http__request__method=method, http__response__status_code=status)
        told.say(http__route=route, latentcrs__request_id=scope["state"]["request_id"])
        owner = {"owner": found} if (found := scope["state"].get("owner")) else {}
        log = LOG.debug if route.startswith("/health") else LOG.info  # asked every few seconds
        log("request", method=method, route=route, status=status, milliseconds=round(seconds * 1000, 1), **owner)

    def _wrong(self, scope: Scope) -> HTTPException | None:
        """Why a request goes no further, where it does not."""
        headers = Headers(scope=scope)
        host = _parts(f"//{headers.get('host', '')}").hostname or ""
        allowed = self.settings.allowed_hosts
        if "*" not in allowed and host not in allowed:
            return HTTPException(400, "This server does not go by the name in the Host header; see --allowed-host.")
        origin = headers.get("origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
        trusted = origin is None or origin in self.settings.origins
        if unsafe and not trusted and _parts(str(origin)).netloc != headers.get("host", "").lower():
            return HTTPException(403, "Another web site may not ask this; see --cors-origin.")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.settings.body_bytes:
            return self._too_large()
        return None

    def _measured(self, receive: Receive) -> Receive:
        read = 0

        async def receiving() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.settings.body_bytes:
                raise self._too_large()
            return message

        return receiving

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"A request's body has at most {self.settings.body_bytes} bytes here.")

    def _complete(self, headers: MutableHeaders, request_id: str) -> None:
        headers["X-Request-ID"] = request_id
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        html = headers.get("content-type", "").startswith("text/html")
        headers.setdefault("Content-Security-Policy", self.page_policy if html else API_POLICY)
        if "cache-control" not in headers and not headers.get("content-type", "").startswith(CACHED):
            headers["Cache-Control"] = "no-store"


CACHED = ("text/css", "text/javascript", "application/javascript", "font/", "image/")
"""Kinds of content that no person's data is in."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else "other"  # anybody may invent one, and each would be counted apart


def _route(scope: Mapping[str, object]) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "none"


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address.lower())
    except ValueError:
        return urlsplit("")
