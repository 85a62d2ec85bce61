"""Opens a conversation with a bundle: a new one, or one that was stored."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.converse.conversation import Conversation
from latentcrs.hear.open import Extractors, RulesBy
from latentcrs.llm import ChatModel, open_chat_model
from latentcrs.recommend import Recommender, load
from latentcrs.recommend.users import trained_dataset, user_history
from latentcrs.store.conversations import ConversationStore, StoredConversation
from latentcrs.store.session import Session, Variant

LAST = "last"
"""Resumes the conversation with this bundle that went on last."""


def open_conversation(
    bundle: str | Path,
    user: str | None = None,
    likes: Sequence[str] = (),
    history: Sequence[str] = (),
    variant: Variant | None = None,
    rules: RulesBy = "lexical",
    llm: str | ChatModel | None = None,
    talks: bool = False,
    store: ConversationStore | str | Path | None = None,
    conversation: str | None = None,
    k: int | None = None,
    device: str = "auto",
) -> Conversation:
    """A conversation with the bundle in the folder `bundle`.

    Args:
        user: be this user of the data set that the bundle was trained on.
        likes: titles, or parts of them, that are liked.
        history: item ids or titles, oldest first; those of `user` come before, those of `likes` after.
        variant: "b", "f" (the default) or "v"; see `session.Variant`.
        rules: who hears the rules: "lexical", or "llm" for the language model, with the former where that fails.
        llm: a language model, as `open_chat_model` takes it: "local", an address, None for `LATENTCRS_LLM_URL`.
        talks: the language model words the replies.
        store: every turn is kept there: a store, or its path or URL. None keeps nothing.
        conversation: go on with the stored conversation of this id, or with the "last" one with this bundle. Its user
            and history are those that it has; `variant` and `k` stay unless they are given.
        k: items in each answer, 5 by default.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: anything of this that does not exist or does not fit.

    >>> model.save(folder / "films")
    >>> talk = latentcrs.conversation(folder / "films", likes=["Toy Story"], k=3)
    >>> turn = talk.reply("a comedy, no musicals")
    >>> turn.rules, len(turn.items)
    (['genres: Comedy', 'genres: not Musical'], 3)
    """
    if conversation is not None and (user is not None or likes or history):
        raise UserError("a conversation that is resumed has its user and likes already; leave them out.")
    kept = ConversationStore(str(store)) if isinstance(store, (str, Path)) else store
    recommender = load(bundle, resolve_device(device).type)
    name = str(Path(bundle).resolve())
    stored: StoredConversation | None = None
    if conversation is not None:
        stored = _stored(kept, conversation, name, recommender)
        changed = {key: value for key, value in (("variant", variant), ("k", k)) if value is not None}
        session = stored.session.model_copy(update=changed)
    else:
        past = user_history(trained_dataset(recommender.bundle.info), user) if user is not None else []
        recommender.item_numbers(past)  # every id is known
        numbers = recommender.find_items(history).tolist()
        past += [str(item_id) for item_id in recommender.bundle.items["item_id"].gather(numbers)]
        past += [recommender.find_item(title) for title in likes]
        session = Session(user=user, history=list(dict.fromkeys(past)), variant=variant or "f", k=k or 5)
    model = open_chat_model(llm) if llm is None or isinstance(llm, str) else llm
    heard_by, id = Extractors(recommender, rules, model).chosen, stored.id if stored else new_id()
    opened = Conversation(recommender, heard_by, session, model=model, talks=talks, store=kept, id=id)
    if stored is not None:
        opened.recent = stored.turns[-10:]
    elif kept is not None:
        kept.begin(opened.id, session, name)
    return opened


def begin_again(conversation: Conversation, bundle: str | Path) -> None:
    """Make `conversation` a new one of the same person: nothing said or shown yet; the old one stays stored."""
    old = conversation.session
    session = Session(user=old.user, history=old.history, variant=old.variant, k=old.k)
    id = new_id()
    if conversation.store is not None:
        conversation.store.begin(id, session, str(Path(bundle).resolve()))
    conversation.id, conversation.session, conversation.recent = id, session, []


def new_id() -> str:
    """A short id that one can type."""
    return secrets.token_hex(4)


def _stored(store: ConversationStore | None, id: str, bundle: str, recommender: Recommender) -> StoredConversation:
    """The conversation to resume."""
    if store is None:
        raise UserError("a conversation that is resumed must have been stored; say where.")
    if id == LAST:
        held = (store.load(summary.id) for summary in store.summaries() if summary.turns)
        found = next((stored for stored in held if stored.bundle == bundle), None)
        if found is None:
            raise UserError(f"there is no stored conversation with {bundle} yet; leave out --resume to begin one.")
    else:
        found = store.load(id)
    if not fits(found.session, recommender):
        raise UserError(
            f"conversation {found.id} was held with another catalogue: that of {found.bundle}; resume it with that."
        )
    return found


def fits(session: Session, recommender: Recommender) -> bool:
    """Whether a session's items and rules are of the recommender's catalogue."""
    try:
        recommender.item_numbers([*session.past, *session.not_again, *session.listed])
        for heard in (*session.rules, *session.wishes):
            recommender.mask(heard.rule)
    except UserError:
        return False
    return True
