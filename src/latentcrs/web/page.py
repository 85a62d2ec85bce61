"""One visitor's page: its parts, and what happens when something is said or pressed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from nicegui import Client, ui

from latentcrs.base.errors import UserError
from latentcrs.converse.examples import example_requests
from latentcrs.hear import HeardRule
from latentcrs.serve.bounds import LONGEST_SEARCH
from latentcrs.serve.caller import caller
from latentcrs.serve.errors import TooSlow
from latentcrs.serve.limits import Rates
from latentcrs.serve.problems import told
from latentcrs.serve.service import Service
from latentcrs.serve.threads import Threads
from latentcrs.store.conversations import StoredConversation
from latentcrs.store.session import Turn, Variant
from latentcrs.web.chat import OTHERS, Answer, Chat, Press, more_like
from latentcrs.web.elements import box, button, text
from latentcrs.web.header import Header, list_conversations
from latentcrs.web.history import History
from latentcrs.web.intents import Intents
from latentcrs.web.labels import Labels
from latentcrs.web.rules import Chips, RuleEdit


@dataclass(frozen=True)
class Site:
    """rates, threads: those of the API, so that what is done on pages counts with what is done there. longest:
    characters of an utterance. owner_of: whose an API key is, None for a wrong one; None without keys.
    """

    service: Service
    labels: Labels
    rates: Rates
    threads: Threads
    longest: int
    owner_of: Callable[[str], str | None] | None


VISITOR = "visitor"
"""The user that whoever opens the page is, among the users of the key's owner."""
Given = ParamSpec("Given")
Found = TypeVar("Found")


class Page:
    """The page of one browser tab. Nothing is kept here that the service does not have but the conversation's id."""

    def __init__(self, site: Site, owner: Callable[[], str], client: Client, address: str) -> None:
        """`owner`: whose key was given, asked anew for every act. `address`: where the browser is."""
        self._site, self._service, self._labels = site, site.service, site.labels
        self._whose, self._client, self._address = owner, client, address
        self._id: str | None = None
        self._turns = 0
        self._liked: set[str] = set()
        self._said: ui.element | None = None
        self._variant: Variant = "f"
        self._busy = False
        self._waiting = False
        self._build()

    @property
    def _owner(self) -> str:
        return self._whose()

    def _build(self) -> None:
        labels = self._labels
        with box("app"):
            self._header = Header(
                labels, self._service.model is not None, self._use, self._start_over, self._conversations
            )
            with box("main", "main"):
                self._chat = Chat(labels, self._service.talks, self._press, self._say, self._undo)
                with box("dock"):
                    self._chips = Chips(labels, self._drop, self._edit)
                    self._composer()
            with box("side", "aside", "Intents and history"):
                closes = button("", None, "round closes-panel", "close", "Close")
                closes.on("click", js_handler="() => latentcrs.panel(false)")
                self._intents = Intents()
                self._history = History(labels, self._search, self._add, self._remove)
            veil = box("veil")
            veil.on("click", js_handler="() => latentcrs.panel(false)")

    def _composer(self) -> None:
        with box("composer", "form", "Say something") as self._composed:
            self._field = ui.textarea(placeholder=f"Which {self._labels.noun} are you looking for?").props(
                f"autogrow borderless dense rows=1 maxlength={self._site.longest}"
            )
            self._field.props["aria-label"] = "What you are looking for"
            self._field.on(
                "keydown",
                self._typed,
                args=[],
                js_handler="""(event) => {
                    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
                    event.preventDefault();
                    emit();
                }""",
            )
            button("", self._typed, "send", "arrow_upward", "Send")
        text("Goes out as soon as this answer is there.", "hint waits", "p").props["role"] = "status"

    # Conversations.

    async def open(self) -> None:
        """Go on with the conversation that the tab had, or greet."""
        id = await self._client.run_javascript("return latentcrs.recall()", timeout=10.0)
        if not (isinstance(id, str) and await self._resume(id)):
            await self._greet()

    async def _resume(self, id: str) -> bool:
        """Show a stored conversation from its beginning; False where there is none."""
        try:
            stored = await self._off_loop(self._service.conversation, self._owner, id)
        except UserError:
            return False
        session = stored.session
        self._id, self._turns, self._variant = id, session.turns, session.variant
        self._liked = {*session.liked, *session.accepted}
        self._client.run_javascript(f"latentcrs.remember({id!r})")
        self._chat.clear()
        self._said = None
        for turn in stored.turns:
            if turn.kind != "command":
                self._said = self._chat.say(turn.utterance)
                self._chat.answer(turn, _marked(stored))
        if self._said is None:
            self._welcome()
        else:
            self._reveal(self._said)
        self._header.show(self._variant)
        await self._show(stored)
        return True

    async def _greet(self) -> None:
        """A new conversation; it begins in the store with the first thing said."""
        self._id, self._turns, self._liked = None, 0, set()
        self._client.run_javascript("latentcrs.remember(null)")
        self._chat.clear()
        self._welcome()
        self._chips.show(None)
        self._intents.show([])
        await self._past()

    def _welcome(self) -> None:
        self._chat.welcome(example_requests(self._service.recommender.bundle))
        self._client.run_javascript("latentcrs.focus()")

    async def _begun(self) -> str:
        if self._id is None:
            begin = partial(self._service.begin, user=VISITOR, variant=self._variant)
            self._id = await self._off_loop(begin, self._owner)
            self._client.run_javascript(f"latentcrs.remember({self._id!r})")
        return self._id

    async def _start_over(self) -> None:
        if not self._busy:
            await self._greet()

    async def _conversations(self) -> None:
        held = await self._off_loop(self._service.conversations, self._owner, VISITOR)
        with self._client.layout:
            list_conversations(held, self._id, self._take_up, self._forget)

    async def _take_up(self, id: str) -> None:
        if not self._busy and not await self._resume(id):
            self._chat.failed("This conversation is no longer there.")

    async def _forget(self, id: str) -> None:
        await self._off_loop(self._service.forget, self._owner, id)
        if id == self._id:
            await self._greet()

    # Turns.

    async def _typed(self) -> None:
        if self._waiting:
            return
        self._waiting = True
        if self._busy:
            self._composed.classes(add="waiting")
        try:
            await self._free()
        finally:
            self._waiting = False
            self._composed.classes(remove="waiting")
        words = str(self._field.value or "").strip()[: self._site.longest]
        if words:
            self._field.set_value("")
            await self._say(words)

    async def _free(self) -> None:
        """Wait for the end of what is under way: a press or a sentence in between is not lost."""
        while self._busy:
            await asyncio.sleep(0.05)

    async def _say(self, words: str) -> None:
        """A turn: what was said, the answer as it comes, the list."""
        if self._busy:
            return
        self._chat.freeze()
        self._said = self._chat.say(words)
        self._reveal(self._said)
        await self._ask(words)

    async def _ask(self, words: str) -> None:
        """The answer to what was said, as it comes."""
        if self._busy:
            return
        self._busy = True
        coming = self._chat.wait()
        loop = asyncio.get_running_loop()

        def on_text(piece: str) -> None:  # called in the thread that makes the turn
            loop.call_soon_threadsafe(coming.write, piece)

        try:
            id = await self._begun()
            turn = await self._taken(id, partial(self._service.turn, self._owner, id, words, on_text))
        except TooSlow:
            coming.end()
            self._too_slow(id)
        except UserError as error:
            coming.end()
            self._chat.failed(told(error), partial(self._ask, words))
        except Exception:
            coming.end()
            self._chat.failed("Something went wrong on the server.", partial(self._ask, words))
            raise
        else:
            await self._took(turn, coming)
        finally:
            self._busy = False

    async def _taken(self, id: str, work: Callable[[], Turn]) -> Turn:
        """A turn of a conversation: counted, and waited for in a thread, as those of the API."""
        whose = caller(self._owner, self._address)
        await self._off_loop(self._site.rates.spend, "turns", whose)
        return await self._site.threads.run(whose, work, id)

    def _too_slow(self, id: str) -> None:
        message = "This takes longer than is waited for. The answer is kept all the same."
        self._chat.failed(message, partial(self._look_again, id), "Look again")

    async def _look_again(self, id: str) -> None:
        """Show the answer that took too long, if it is there by now."""
        stored = await self._off_loop(self._service.conversation, self._owner, id)
        if stored.session.turns > self._turns:
            await self._resume(id)
        else:
            self._too_slow(id)

    async def _took(self, turn: Turn, coming: Answer | None = None) -> None:
        """Show a turn that was made, in the place of the answer that was waited for."""
        assert self._id is not None
        if turn.number != self._turns + 1:  # the conversation went on in another tab
            await self._resume(self._id)
            return
        self._turns = turn.number
        stored = await self._off_loop(self._service.conversation, self._owner, self._id)
        if coming is not None:
            coming.end()
            self._chat.answer(turn, {})
            self._reveal(self._said)
        await self._show(stored)

    async def _show(self, stored: StoredConversation) -> None:
        """Chips, bars and history as they are after the last turn."""
        session = stored.session
        lists = [turn for turn in stored.turns if turn.items]
        self._chips.show(session, lists[-1].relaxed if lists else ())
        self._intents.show(await self._off_loop(self._service.intents, self._owner, stored.id))
        liked = {*session.liked, *session.accepted}
        for item_id in liked - self._liked:  # what is liked in a conversation is known to the next ones
            await self._off_loop(self._service.remember, self._owner, VISITOR, item_id, "like")
        self._liked |= liked
        await self._past()

    async def _change(self, change: Callable[[str], Turn]) -> bool:
        """A turn without words. Returns whether it was made."""
        if self._busy:
            return False
        self._busy = True
        try:
            id = await self._begun()
            turn = await self._taken(id, partial(change, id))
            await self._took(turn)
            return True
        except UserError as error:
            self._chat.failed(told(error))
            return False
        finally:
            self._busy = False

    async def _press(self, press: Press, place: int, item_id: str) -> None:
        await self._free()
        stored = await self._off_loop(self._service.conversation, self._owner, await self._begun())
        if stored.session.listed[place : place + 1] != [item_id]:  # another tab has a newer list
            await self._resume(stored.id)
        elif press == "like":
            self._chat.mark(item_id, press)
            await self._say(more_like(place))
        else:
            if await self._change(lambda id: self._service.mark(self._owner, id, press, [place])):
                self._chat.mark(item_id, press)
                await self._off_loop(self._service.remember, self._owner, VISITOR, item_id, press)

    async def _drop(self, heard: HeardRule) -> None:
        if await self._dropped(heard):
            await self._say(OTHERS)

    async def _dropped(self, heard: HeardRule) -> bool:
        await self._free()
        id = await self._begun()
        session = (await self._off_loop(self._service.conversation, self._owner, id)).session
        in_force = [*session.rules, *session.wishes]
        if heard not in in_force:  # it went meanwhile
            return False
        place = in_force.index(heard)
        return await self._change(lambda id: self._service.drop_rule(self._owner, id, place))

    async def _undo(self) -> None:
        await self._free()
        if await self._change(lambda id: self._service.undo(self._owner, id)):
            await self._say(OTHERS)

    async def _edit(self, edited: RuleEdit) -> None:
        await self._free()
        if edited.old is not None and not await self._dropped(edited.old):
            return
        if await self._change(lambda id: self._service.add_rule(self._owner, id, edited.rule, soft=edited.soft)):
            await self._say(OTHERS)

    async def _use(self, variant: Variant) -> None:
        if self._busy or variant == self._variant:
            return
        if self._id is not None and not await self._change(lambda id: self._service.use(self._owner, id, variant)):
            return
        self._variant = variant
        self._header.show(variant)

    # The history.

    async def _search(self, words: str, most: int) -> list[str]:
        whose = caller(self._owner, self._address)
        rows = await self._site.threads.run(whose, partial(self._service.search, words[:LONGEST_SEARCH], k=5 * most))
        wanted = words.lower().split()
        titled = [row for row in rows if all(word in str(row["title"]).lower() for word in wanted)]
        return [str(row["item_id"]) for row in titled[:most]]

    async def _add(self, item_id: str) -> None:
        await self._off_loop(self._service.remember, self._owner, VISITOR, item_id, "like")
        await self._past_is_another()

    async def _remove(self, item_id: str) -> None:
        await self._off_loop(self._service.forget_event, self._owner, VISITOR, item_id)
        await self._past_is_another()

    async def _past_is_another(self) -> None:
        await self._past()
        if self._id is not None:
            self._intents.show(await self._off_loop(self._service.intents, self._owner, self._id))

    async def _past(self) -> None:
        self._history.show(await self._off_loop(self._service.history, self._owner, VISITOR))

    def _reveal(self, element: ui.element | None) -> None:
        if element is None:
            return
        self._client.run_javascript(f"latentcrs.reveal('c{element.id}')")

    async def _off_loop(self, work: Callable[Given, Found], *args: Given.args, **kwargs: Given.kwargs) -> Found:
        """Work that would hold up everybody else, in a thread."""
        return await asyncio.to_thread(work, *args, **kwargs)


def _marked(stored: StoredConversation) -> dict[str, Press]:
    """The items of the last list for which a button was pressed."""
    session = stored.session
    told: list[tuple[Press, list[str]]] = [
        ("like", session.liked),
        ("seen", session.seen),
        ("refuse", session.refused),
    ]
    return {item_id: press for press, item_ids in told for item_id in item_ids}
