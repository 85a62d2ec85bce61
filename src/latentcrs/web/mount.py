"""Puts the page on a FastAPI app, at "/", behind all of its routes."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from nicegui import Client, ui
from nicegui import app as nicegui_app
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from latentcrs.base.errors import UserError
from latentcrs.serve.caller import address_of, caller
from latentcrs.serve.errors import TooMany
from latentcrs.serve.keys import Keys
from latentcrs.serve.limits import Rates
from latentcrs.serve.refusals import refused
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.serve.threads import Threads
from latentcrs.web.elements import box, button, icon, text
from latentcrs.web.labels import Labels
from latentcrs.web.numbers import show_numbers
from latentcrs.web.page import Page, Site

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


def mount(
    app: FastAPI, service: Service, settings: Settings, keys: Keys | None, rates: Rates, threads: Threads
) -> None:
    """Add the page to `app`, behind everything that it has: what no other route takes is the page's.

    Where there are keys, the page asks for one first.
    """
    owner_of = None if keys is None else keys.owner_of
    labels = Labels(service, settings.image_hosts)
    site = Site(service, labels, rates, threads, settings.utterance_characters, owner_of)
    _configure()
    app.mount("/web", StaticFiles(directory=STATIC))
    app.router.default = _Bound(site)  # a mount at "/" would also take what a route has another method for: a 405
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
    ui.page("/numbers", title="LatentCRS: numbers")(_numbers)
    for kind in (404, HTTPException):  # NiceGUI itself has a page for 404
        nicegui_app.exception_handler(kind)(refused)


async def _index(request: Request, client: Client) -> None:
    """The page at "/"."""
    site, owner, address = await _let_in(request, client)
    page = Page(site, owner, client, address)
    await client.connected()
    await page.open()


async def _numbers(request: Request, client: Client) -> None:
    """The page at "/numbers"."""
    await show_numbers(*await _let_in(request, client))


async def _let_in(request: Request, client: Client) -> tuple[Site, Callable[[], str], str]:
    """The site, whose page it is, once a key has told where keys are asked for, and the browser's address."""
    site: Site = request.scope["latentcrs.site"]
    ui.add_head_html('<link rel="stylesheet" href="web/style.css"><script src="web/page.js"></script>')
    address = address_of(request)
    if site.owner_of is None:
        return site, str, address
    return site, await ask_for_key(client, site.owner_of, site.rates, address), address


KEY = "latentcrs.key"


async def ask_for_key(
    client: Client, owner_of: Callable[[str], str | None], rates: Rates, address: str
) -> Callable[[], str]:
    """Returns once this tab has given a right key, now or before a reload; what is returned tells whose key it is.

    Told so anew each time: a key that is taken back says `UserError` from then on. Wrong keys count as requests from
    `address`, as they do in the API.
    """
    await client.connected()
    session = nicegui_app.storage.tab

    def owner() -> str:
        found = owner_of(str(session.get(KEY, "")))
        if found is None:
            raise UserError("The key of this page is no longer valid; reload the page to give another.")
        return found

    if owner_of(str(session.get(KEY, ""))) is None:
        await _right_key(session, owner_of, partial(rates.spend, "requests", caller("", address)))
    return owner


async def _right_key(
    session: MutableMapping[str, object], owner_of: Callable[[str], str | None], spend: Callable[[], None]
) -> None:
    given = asyncio.Event()

    async def check() -> None:
        key = str(field.value or "").strip()
        if owner_of(key) is None:
            error.set_text("This key is not known here.")
            try:
                await asyncio.to_thread(spend)
            except TooMany as many:
                error.set_text(str(many))
            return
        session[KEY] = key
        given.set()

    with box("key", "main") as screen, box("", "form", "API key"):
        with box("brand"):
            with box("logo"):
                icon("key")
            text("LatentCRS", tag="h1")
        text("This server asks for an API key; this tab remembers it.", "hint", "p")
        field = ui.input("API key", password=True).props("outlined autofocus autocomplete=off")
        field.on("keydown.enter.prevent", check, [])
        error = text("", "error", "p")
        error.props["role"] = "alert"
        button("Continue", check, "primary")
    await given.wait()
    screen.delete()
