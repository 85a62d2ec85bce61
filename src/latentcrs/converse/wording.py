"""Words a reply: by sentences that are true of the turn, or by a language model that is checked against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from latentcrs.converse import replies
from latentcrs.converse.answers import answer as answer_question
from latentcrs.converse.examples import example_request
from latentcrs.converse.grounded import SentenceCheck
from latentcrs.converse.judge import described
from latentcrs.hear import Reading
from latentcrs.llm import ChatRequest, Message, ModelError, complete
from latentcrs.llm.prompts import prompt
from latentcrs.store.session import Session, Turn

if TYPE_CHECKING:
    from latentcrs.converse.conversation import Conversation

LONGEST_REPLY = 100  # tokens


def by_model(talk: Conversation, turn: Turn, on_text: Callable[[str], None] | None) -> str:
    """What the language model says of a turn, each sentence checked (`grounded`), behind what a person must know.

    Raises:
        ModelError: it does not answer, or invents.
    """
    assert talk.model is not None
    columns = talk.recommender.bundle.columns
    items = [described(talk.row(item.item_id), columns) for item in turn.items]
    # What a person must know is not left to a model.
    first = turn.text if turn.relaxed or turn.unknown or turn.nearest else replies.no_longer(turn)

    def passed(sentence: str) -> None:
        if on_text is not None:
            on_text(sentence if grounded.said or not first else f"{first} {sentence}")

    grounded = SentenceCheck(items, [turn.utterance, *turn.rules, *turn.wishes], passed)
    text = prompt("reply", request=turn.utterance, items=items)
    messages = [Message("system", prompt("reply_rules")), Message("user", text)]
    pieces = None if on_text is None else grounded.write
    asked = ChatRequest(messages, talk.call("reply", turn), max_tokens=LONGEST_REPLY, on_text=pieces)
    try:
        answered = complete(talk.model, asked)
        said = grounded.end(answered.text, answered.finished)
    except ModelError as error:
        if not grounded.said or error.outcome != "invented":
            if grounded.said and on_text is not None:
                on_text("\n")
            raise
        said = " ".join(grounded.said)
    return f"{first} {said}".strip()


def by_template(talk: Conversation, turn: Turn, session: Session, reading: Reading, meant: list[str]) -> str:
    """What is said of a turn without a language model; `meant`: the items that the utterance speaks of."""
    kind, notes = turn.kind, list(reading.notes)
    if gone := [talk.title(item_id) for item_id in meant if talk.is_gone(item_id)]:
        notes.append(replies.GONE.format(titles=replies.listed(gone), be="is" if len(gone) == 1 else "are"))
        meant = [item_id for item_id in meant if not talk.is_gone(item_id)]
    facts = ""
    if kind == "question" or (kind == "accepted" and reading.about):  # "sounds good, who's in it"
        columns, about = talk.recommender.bundle.columns, reading.about or ("unknown" if reading.needs else "")
        facts = " ".join(answer_question(talk.row(item_id), about, columns) for item_id in meant)
    if kind == "question" and meant:
        return " ".join([*notes, replies.untold(turn) if turn.unknown and not reading.about else facts])
    if kind == "why" and meant:
        return " ".join([*notes, *(f"{talk.title(item_id)}: {talk.why(item_id)}." for item_id in meant)])
    chosen = replies.listed([talk.title(item_id) for item_id in meant])
    opening = {
        "seen": f"Noted, you know {chosen}.",
        "refused": f"Noted, not {chosen}." if len(meant) <= 2 else "Noted, none of these.",
        "liked": f"Noted, you like {chosen}.",
        "accepted": f"Enjoy {chosen}! {facts}".strip(),
        "instruction": replies.INSTRUCTION,
        "start over": replies.START_OVER,
    }.get(kind, "")
    opening = opening if meant or kind in ("instruction", "start over") else ""
    opening = " ".join([*notes, opening]).strip()
    if turn.items or kind in ("request", "more", "seen", "refused"):
        titles = talk.recommender.bundle.items["title"]
        like = [str(titles[title.number]) for title in reading.titles if title.stance == "wants_similar"]
        return f"{opening if kind != 'start over' else ''} {replies.recommending(turn, session, like)}".strip()
    fixed = {
        "greeting": replies.GREETING,
        "thanks": replies.THANKS,
        "small talk": replies.SMALL_TALK,
        "help": replies.HELP,
        "empty": replies.EMPTY,
    }
    ended = replies.no_longer(turn)
    said = opening or (replies.untold(turn) if kind == "unsure" else "")
    said = said or fixed.get(kind, replies.UNSURE).format(example=example_request(talk.recommender.bundle))
    return f"{ended} {said}".strip()
