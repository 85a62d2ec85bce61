"""The head of the page: what this is, the mode, the conversations to go back to, light or dark."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from nicegui import ui

from latentcrs.store.conversations import Summary
from latentcrs.store.session import VARIANTS, Variant
from latentcrs.web.elements import Handler, box, button, icon, text
from latentcrs.web.labels import Labels

MODES: dict[Variant, str] = {
    "b": "B: by words and behaviour alone, rules do not apply",
    "f": "F: rules filter",
    "v": "V: rules filter, then a language model judges",
}
MOST_LISTED = 50


class Header:
    """The bar at the top. `judges`: there is a language model, so mode V can be chosen."""

    def __init__(
        self,
        labels: Labels,
        judges: bool,
        on_mode: Callable[[Variant], Awaitable[None]],
        on_over: Handler,
        on_conversations: Handler,
    ) -> None:
        self._modes: dict[Variant, ui.element] = {}
        with box("top", "header"):
            with box("brand"):
                with box("logo"):
                    icon(labels.symbol)
                with box("names"):
                    text("LatentCRS", "name")
                    text(f"{labels.size:,} {labels.nouns}", "size")
            with box("modes", name="Mode") as modes:
                for variant in VARIANTS:
                    told = MODES[variant]
                    if variant == "v" and not judges:
                        told += " (this server has none)"
                    chosen = button(variant.upper(), partial(on_mode, variant), "mode", name=told)
                    if variant == "v" and not judges:
                        chosen.props["disabled"] = True
                    self._modes[variant] = chosen
            modes.props["role"] = "group"
            button("Start over", on_over, "quiet over", "restart_alt", "Start over: a new conversation")
            button("", on_conversations, "round", "forum", "Conversations")
            theme = button("", None, "round", "contrast", "Light or dark")
            theme.on("click", js_handler="() => latentcrs.theme()")
            panel = button("", None, "round opens-panel", "tune", "Intents and history")
            panel.on("click", js_handler="() => latentcrs.panel(true)")
        self.show("f")

    def show(self, variant: Variant) -> None:
        """Mark the mode that is in use."""
        for mode, chosen in self._modes.items():
            chosen.props["aria-pressed"] = "true" if mode == variant else "false"
            chosen.update()


def list_conversations(
    summaries: Sequence[Summary],
    now: str | None,
    on_resume: Callable[[str], Awaitable[None]],
    on_forget: Callable[[str], Awaitable[None]],
) -> None:
    """A dialog with the conversations that have a turn, the newest first; `now`: the id of the one on the page."""
    told = [summary for summary in summaries if summary.turns][:MOST_LISTED]

    async def resume(id: str) -> None:
        dialog.close()
        await on_resume(id)

    async def gone(id: str, row: ui.element) -> None:
        row.delete()
        await on_forget(id)

    with ui.dialog() as dialog, box("dialog conversations"):
        text("Conversations", tag="h2")
        with box("held", "ul"):
            for summary in told:
                with box(f"held-row{' now' * (summary.id == now)}", "li") as row:
                    with button("", partial(resume, summary.id), "held-open"):
                        text(summary.words or "(no words)", "held-words")
                        count = f"{summary.turns} turn{'s' * (summary.turns != 1)}"
                        text(f"{count} · {ago(summary.updated)}{' · here' * (summary.id == now)}", "facts")
                    forget = f"Forget the conversation: {summary.words}"
                    button("", partial(gone, summary.id, row), "round small", "delete_outline", forget)
            if not told:
                text("None yet. What you say from now on is kept here.", "hint", "li")
        with box("buttons"):
            button("Close", dialog.close, "quiet")
    dialog.props["aria-label"] = "Conversations"
    dialog.on("hide", dialog.delete, [])

    dialog.open()


def ago(when: datetime) -> str:
    """How long ago that was, in words."""
    seconds = (datetime.now(UTC) - when).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"
