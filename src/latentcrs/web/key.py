"""Asks for the API key where the server has keys. The server remembers it for the browser's tab, in memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from functools import partial

from nicegui import Client, app, ui

from latentcrs.base.errors import UserError
from latentcrs.serve.caller import caller
from latentcrs.serve.errors import TooMany
from latentcrs.serve.limits import Rates
from latentcrs.web.elements import box, button, icon, text

KEY = "latentcrs.key"


async def ask_for_key(
    client: Client, owner_of: Callable[[str], str | None], rates: Rates, address: str
) -> Callable[[], str]:
    """Returns once this tab has given a right key, now or before a reload; what is returned tells whose key it is.

    Told so anew each time: a key that is taken back says `UserError` from then on. Wrong keys count as requests from
    `address`, as they do in the API.
    """
    await client.connected()
    session = app.storage.tab

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
