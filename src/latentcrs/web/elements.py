"""The few elements that the page is made of. What they show is always text: no HTML, no Markdown, no props syntax."""

from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from latentcrs.recommend.catalogue_text import plain_text

Handler = Callable[[], Awaitable[None] | None]


def text(words: object, classes: str = "", tag: str = "span") -> TextElement:
    """Words as they are, less the characters that turn the direction of writing or are not printable."""
    element = TextElement(tag=tag, text=plain_text(words))
    element.classes(classes)
    return element


def box(classes: str = "", tag: str = "div", name: str = "") -> ui.element:
    """A container; `name` says to a screen reader what it holds."""
    element = ui.element(tag).classes(classes)
    if name:
        element.props["aria-label"] = name
    return element


def icon(symbol: str) -> None:
    """A picture that says nothing of its own."""
    ui.icon(symbol).props("aria-hidden=true")


def button(
    label: str, on_click: Handler | None = None, classes: str = "", symbol: str = "", name: str = ""
) -> ui.element:
    """A button with a label, a symbol or both; `name` is what a screen reader and a tooltip say of it."""
    element = box(classes, "button", plain_text(name))
    element.props["type"] = "button"
    if name:
        element.props["title"] = plain_text(name)
    with element:
        if symbol:
            icon(symbol)
        if label:
            text(label)
    if on_click is not None:
        element.on("click", on_click, [])
    return element
