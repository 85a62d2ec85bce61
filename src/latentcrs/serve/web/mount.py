"""Puts the page on a FastAPI app, at "/", behind all of its routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from nicegui import Client, ui
from nicegui import app as nicegui_app
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from latentcrs.serve.keys import Keys
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.serve.web.key import ask_for_key
from latentcrs.serve.web.labels import Labels
from latentcrs.serve.web.page import Page

STATIC = Path(__file__).parent / "static"
RECONNECT = 10.0
"""Seconds that a page waits for its browser to come back before it is made anew from the store."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""For the page's responses. Vue compiles templates in the browser, and a script in the page starts it: hence the
"unsafe" parts; what a catalogue or a user says never becomes HTML.
"""


@dataclass(frozen=True)
class Site:
    """What one app's pages are about. longest: characters of an utterance. owner_of: whose an API key is, None for a
    wrong one; None without keys.
    """

    service: Service
    labels: Labels
    longest: int
    owner_of: Callable[[str], str | None] | None


def mount(app: FastAPI, service: Service, settings: Settings) -> None:
    """Add the page to `app`, behind everything that it has: what no other route takes is the page's.

    Where there is a file of keys, the page asks for a key first.

    Raises:
        UserError: the file of keys cannot be read.
    """
    owner_of = None if settings.keys_file is None else Keys(settings.keys_file).owner_of
    site = Site(service, Labels(service), settings.utterance_characters, owner_of)
    _configure()
    app.mount("/web", StaticFiles(directory=STATIC))
    app.mount("/", _Bound(site))
    outer = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with nicegui_app.router.lifespan_context(nicegui_app), outer(app) as state:
            yield state

    app.router.lifespan_context = lifespan


class _Bound:
    """NiceGUI's app, of which a process has one, told which site a request is for."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["latentcrs.site"] = self._site
        await nicegui_app(scope, receive, send)


@cache
def _configure() -> None:
    """Configure NiceGUI: once in a process, which has one such app whatever is mounted how often."""
    ui.run_with(
        FastAPI(),  # not ours: its lifespan would look through all objects in memory for the server
        title="LatentCRS",
        dark=None,
        language="en-US",
        reconnect_timeout=RECONNECT,
        tailwind=False,
        show_welcome_message=False,
    )
    ui.page("/")(_index)
    nicegui_app.exception_handler(404)(_not_found)


async def _index(request: Request, client: Client) -> None:
    """The page at "/"."""
    site: Site = request.scope["latentcrs.site"]
    ui.add_head_html('<link rel="stylesheet" href="web/style.css"><script src="web/page.js"></script>')
    owner = str if site.owner_of is None else await ask_for_key(client, site.owner_of)
    page = Page(site.service, site.labels, owner, client, site.longest)
    await client.connected()
    await page.open()


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is nothing here."}
    return JSONResponse(problem, 404, media_type="application/problem+json")
