"""Asks for the API key where the server has keys. The server remembers it for the browser's tab, in memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping

from nicegui import Client, app, ui

from latentcrs.errors import UserError
from latentcrs.serve.web.elements import box, button, text

KEY = "latentcrs.key"


async def ask_for_key(client: Client, owner_of: Callable[[str], str | None]) -> Callable[[], str]:
    """Returns once this tab has given a right key, now or before a reload; what is returned tells whose key it is.

    Told so anew each time: a key that is taken back says `UserError` from then on.
    """
    await client.connected()
    session = app.storage.tab

    def owner() -> str:
        found = owner_of(str(session.get(KEY, "")))
        if found is None:
            raise UserError("The key of this page is no longer valid; reload the page to give another.")
        return found

    if owner_of(str(session.get(KEY, ""))) is None:
        await _right_key(session, owner_of)
    return owner


async def _right_key(session: MutableMapping[str, object], owner_of: Callable[[str], str | None]) -> None:
    given = asyncio.Event()

    def check() -> None:
        key = str(field.value or "").strip()
        if owner_of(key) is None:
            error.set_text("This key is not known here.")
            return
        session[KEY] = key
        given.set()

    with box("key", "main") as screen, box("", "form", "API key"):
        text("LatentCRS", tag="h1")
        text("This server asks for an API key. It is kept for this tab only.", "hint", "p")
        field = ui.input("API key", password=True).props("outlined autofocus autocomplete=off")
        field.on("keydown.enter.prevent", check, [])
        error = text("", "error", "p")
        error.props["role"] = "alert"
        button("Continue", check, "primary")
    await given.wait()
    screen.delete()
