"""The chat: what was said, answers as they come, item cards, and what was relaxed or could not be understood."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from latentcrs.converse.replies import NOTHING_LEFT
from latentcrs.serve.markdown import shows
from latentcrs.store.session import Turn, TurnItem
from latentcrs.web.elements import box, button, icon, text
from latentcrs.web.labels import Labels

Press = Literal["seen", "like", "refuse"]
"""The buttons of a card."""
OTHERS, START_OVER = "something else", "start over"
"""What buttons say for the user; the log shows it as a small note."""
_PLACES = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
WAIT = 2.0
"""Seconds after which an answer that is being waited for says how long."""


def more_like(place: int) -> str:
    """What asks for more like the item at this place (from 0) of the last list."""
    return f"more like the {_PLACES[place]} one" if place < len(_PLACES) else f"more like #{place + 1}"


class Answer:
    """An answer that is being waited for: dots, seconds where it takes long, the text as it comes."""

    def __init__(self, log: ui.element) -> None:
        self._began = time.monotonic()
        with log, box("coming") as self._body:
            with box("thinking") as thinking:
                for _ in range(3):
                    box("dot", "i")
                self._seconds = text("", "seconds")
            thinking.props["role"] = "status"
            self._words: TextElement = text("", "words", "p")
            self._timer = ui.timer(0.5, self._tick)
        self._words.set_visibility(False)

    def write(self, piece: str) -> None:
        """Show one more piece of the text."""
        self._words.set_text(self._words.text + piece)
        self._words.set_visibility(True)

    def end(self) -> None:
        """Nothing more is waited for."""
        self._timer.cancel()
        self._body.delete()

    def _tick(self) -> None:
        waited = time.monotonic() - self._began
        if waited >= WAIT:
            self._seconds.set_text(f"thinking… {waited:.0f} s")


class Chat:
    """The log of a conversation.

    talks: a language model words the answers, so what was relaxed is said beside them. on_press: a button of a card
    was pressed: which, the item's place in the list, its id. on_say: say this (an example, a suggestion).
    on_undo: what the last turn ended is to come back.
    """

    def __init__(
        self,
        labels: Labels,
        talks: bool,
        on_press: Callable[[Press, int, str], Awaitable[None]],
        on_say: Callable[[str], Awaitable[None]],
        on_undo: Callable[[], Awaitable[None]],
    ) -> None:
        self._labels, self._talks = labels, talks
        self._on_press, self._on_say, self._on_undo = on_press, on_say, on_undo
        self.log = box("log", name="Conversation")
        self.log.props["role"] = "log"
        self._last: ui.element | None = None  # the newest list, whose buttons work
        self._ended: ui.element | None = None  # what puts back what the newest turn ended

    def clear(self) -> None:
        """Nothing was said yet."""
        self.log.clear()
        self._last = self._ended = None

    def welcome(self, examples: list[str]) -> None:
        """What this is, and what one could say."""
        noun, nouns = self._labels.noun, self._labels.nouns
        with self.log, box("welcome"):
            text(f"Find your next {noun} by talking", tag="h1")
            text(
                f"Say what you are in the mood for, in your own words, and you get {nouns} with a reason for each. "
                "Every sentence adds to the ones before, and whatever you insist on becomes a rule that you can "
                "change or remove.",
                tag="p",
            )
            text("Try one of these", "try", "p")
            with box("examples"):
                for example in examples:
                    button(example, partial(self._on_say, example), "example", "arrow_outward")

    def say(self, words: str) -> ui.element:
        """What the user said; returns its element."""
        for welcome in [child for child in self.log.default_slot.children if "welcome" in child.classes]:
            welcome.delete()
        with self.log:
            pressed = words in (OTHERS, START_OVER) or words.startswith("more like the ")
            with box(f"said{' pressed' * pressed}") as said:
                text(words, "words", "p")
            said.props["aria-label"] = "You said"
            said.props["role"] = "group"
        return said

    def wait(self) -> Answer:
        """An answer is on its way."""
        return Answer(self.log)

    def answer(self, turn: Turn, marked: dict[str, Press]) -> ui.element:
        """A turn's answer; `marked`: the items of its list that a button was pressed for. Returns its element."""
        if self._ended is not None:
            self._ended.delete()
            self._ended = None
        with self.log, box("answer") as body:
            empty = turn.text.endswith(NOTHING_LEFT)
            careful = bool(turn.relaxed or turn.unknown or turn.nearest or empty)
            if careful and not self._talks:  # the words of the template are all of it
                with box("notice careful", "p"):
                    icon("search_off" if empty else "info_outline")
                    text(turn.text, "words")
            else:
                text(turn.text, "words", "p")
            self._notices(turn)
            if turn.taken_back:
                with box("after") as self._ended:
                    button("Put back", self._on_undo, "quiet", "undo")
            if turn.items:
                self._list(turn, marked)
            elif empty:
                with box("after"):
                    button("Start over", partial(self._on_say, START_OVER), "quiet", "restart_alt")
        return body

    def failed(
        self, message: str, again: Callable[[], Awaitable[object]] | None = None, label: str = "Try again"
    ) -> None:
        """Something went wrong: what, and a button that does something about it in the place of this."""

        async def pressed() -> None:
            notice.delete()
            if again is not None:
                await again()

        with self.log, box("failed") as notice:
            icon("error_outline")
            text(message, tag="p")
            if again is not None:
                button(label, pressed, "quiet")
        notice.props["role"] = "alert"

    def freeze(self) -> None:
        """The newest list is no longer what buttons speak of."""
        if self._last is not None:
            self._last.classes(add="old")
            for actions in [found for found in self._last.descendants() if "actions" in found.classes]:
                actions.delete()
        self._last = None

    def _notices(self, turn: Turn) -> None:
        told = [("tune", "Not every rule holds here. Relaxed", turn.relaxed)]
        told += [("help_outline", "This catalogue cannot tell", turn.unknown), ("undo", "No longer", turn.taken_back)]
        for symbol, words, values in told if self._talks else []:
            if values:
                with box("notice careful", "p"):
                    icon(symbol)
                    text(f"{words}: {'; '.join(map(self._labels.rule, values))}")
        for note in turn.notes:
            with box("notice note", "p"):
                icon("info_outline")
                text(note[:1].upper() + note[1:])

    def _list(self, turn: Turn, marked: dict[str, Press]) -> None:
        self.freeze()
        with box("list", "ol", f"{len(turn.items)} {self._labels.nouns}") as self._last:
            for place, item in enumerate(turn.items):
                self._card(place, item, marked.get(item.item_id))
        with box("after"):
            if turn.question is not None:
                text(turn.question.text, "asked", "p")
                for answer in turn.question.answers:
                    button(answer, partial(self._on_say, answer), "chip")
            button("Show others", partial(self._on_say, OTHERS), "quiet", "refresh")

    def _card(self, place: int, item: TurnItem, pressed: Press | None) -> None:
        labels = self._labels
        with box("card", "li") as card:
            with box(f"tile {labels.shape} hue{sum(item.item_id.encode()) % 6}"):
                if shows(item.image, labels.image_hosts):
                    box("", "img").props.update({"src": item.image, "alt": "", "loading": "lazy"})
                else:
                    icon(labels.symbol)
            with box("about"):
                with box("head"):
                    with box("title", "h3"):
                        link = text(item.title, tag="a" if item.link.startswith("http") else "span")
                    if item.link.startswith("http"):
                        link.props.update({"href": item.link, "target": "_blank", "rel": "noopener noreferrer"})
                    text(labels.facts(item.item_id), "facts")
                if item.fails:
                    text(labels.failing(item.item_id, item.fails), "fails", "p")
                reason = item.model_copy(update={"fails": []}).why
                text(f"{reason[:1].upper()}{reason[1:]}", "why", "p")
                with box("actions", name=f"What about {item.title}?") as actions:
                    self._actions(actions, place, item)
        if pressed is not None:
            mark(card, actions, pressed, labels)
        card.props["data-item"] = item.item_id

    def _actions(self, actions: ui.element, place: int, item: TurnItem) -> None:
        actions.props["role"] = "group"
        told: list[tuple[Press, str, str]] = [
            ("seen", "visibility", self._labels.known),
            ("like", "add_circle_outline", "More like this"),
            ("refuse", "thumb_down_off_alt", "Not for me"),
        ]
        for press, symbol, label in told:
            pressed = button(label, partial(self._on_press, press, place, item.item_id), "action", symbol)
            pressed.props["data-press"] = press

    def mark(self, item_id: str, pressed: Press) -> None:
        """Show on the newest list that a button was pressed for an item."""
        if self._last is None:
            return
        for card in self._last.default_slot.children:
            if card.props.get("data-item") == item_id:
                actions = next((found for found in card.descendants() if "actions" in found.classes), None)
                if actions is not None:
                    mark(card, actions, pressed, self._labels)


def mark(card: ui.element, actions: ui.element, pressed: Press, labels: Labels) -> None:
    """A card's buttons give way to what was pressed."""
    said = {
        "seen": ("visibility", f"Noted: {labels.known}"),
        "like": ("check_circle", "Noted: more like this"),
        "refuse": ("thumb_down", "Noted: not for me"),
    }
    symbol, words = said[pressed]
    card.classes(add=f"marked {pressed}")
    actions.clear()
    with actions, box("noted"):
        icon(symbol)
        text(words)
