"""A conversation: an utterance in, a turn out (section 4.3: Extract-Rules, Intent-Demonstration, B, F and V)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcrs.converse import replies
from latentcrs.converse.acts import Act, clean, read_act
from latentcrs.converse.answers import answer as answer_question
from latentcrs.converse.bookkeeping import applicable, forget_words, update
from latentcrs.converse.examples import example_request
from latentcrs.converse.filtering import Ranked, least_fitting, rank_under_rules
from latentcrs.converse.judge import CONTROLS, JUDGED, PLACES, described, grades, reordered
from latentcrs.converse.metered import Metered
from latentcrs.converse.session import Session, Turn, TurnItem, Variant
from latentcrs.converse.steps import timed
from latentcrs.converse.uninterrupted import uninterrupted
from latentcrs.errors import UserError
from latentcrs.language.chat import Call, ChatModel, Message, ModelError
from latentcrs.language.chat.model import encodable
from latentcrs.language.extract import Extractor, HeardRule
from latentcrs.language.extract.english import FUNCTION
from latentcrs.language.prompts import prompt
from latentcrs.recommend import Query, Recommender
from latentcrs.recommend.explain import words_of

if TYPE_CHECKING:
    from latentcrs.converse.store import ConversationStore

RECOMMENDING = frozenset(
    {"request", "foreign", "more", "seen", "refused", "accepted", "liked", "instruction", "start over"}
)


@dataclass(frozen=True)
class Begun:
    """Half a turn: what was heard, before anything is recommended.

    session: as the turn will leave it. meant: the items that the utterance speaks of. recommends: whether items
    follow. tokens: (input, output) taken since the turn began.
    """

    turn: Turn
    session: Session
    act: Act
    meant: list[str]
    recommends: bool
    tokens: Callable[[], tuple[int, int]]


class Conversation:
    """One person talking with one bundle. A turn that fails or is interrupted leaves it as it was.

    extractor: hears the rules; `fallback` does where the extractor needs a language model and that fails. model:
    judges in variant v (`places`, `controls`: see `judge`), and words the replies where `talks`. store: every turn is
    committed to it before it is returned. failures: the last turn's `notes` with all that is known of what failed,
    for whoever runs the model; turns, which clients read, have the kind alone.
    """

    def __init__(
        self,
        recommender: Recommender,
        extractor: Extractor,
        session: Session | None = None,
        *,
        fallback: Extractor | None = None,
        model: ChatModel | None = None,
        talks: bool = False,
        places: float = PLACES,
        controls: int = CONTROLS,
        store: ConversationStore | None = None,
        id: str = "",
    ) -> None:
        self.recommender, self.extractor, self.fallback = recommender, extractor, fallback or extractor
        self.session = session or Session()
        self.model = model if model is None else Metered(model)
        self.talks, self.places, self.controls, self.store, self.id = talks, places, controls, store, id
        self.recent: list[Turn] = []
        self.failures: list[str] = []
        if self.session.variant == "v" and model is None:
            raise UserError("variant v needs a language model; name one with --llm.")

    def reply(self, utterance: str, on_text: Callable[[str], None] | None = None) -> Turn:
        """The turn that answers `utterance`; committed to the store before it is returned.

        on_text: called with the reply's text: piece by piece where a language model writes it (a new line ends what
        one began and then failed at), else whole, once the turn is stored.
        """
        begun = self.hear(utterance)
        query = self._read(begun) if begun.recommends else None
        return self.answer(begun, query, on_text)

    def hear(self, utterance: str) -> Begun:
        """The first half of a turn: what was said, and what it changes. Nothing is kept before `answer` has ended."""
        session = self.session.model_copy(deep=True)
        session.turns += 1
        self.failures = []
        utterance = encodable(utterance)
        turn = Turn(number=session.turns, utterance=utterance, kind="request", variant=session.variant)
        meter = self._metered()
        with timed(turn, "total"):
            listed = list(session.listed)
            with timed(turn, "act"):
                act = read_act(utterance, [self._title(item_id) for item_id in listed])
            turn.kind = act.kind
            recommends = self._act(turn, session, act)
            meant = [listed[place] for place in act.items]
        return Begun(turn, session, act, meant, recommends, meter)

    def answer(self, begun: Begun, query: Query | None, on_text: Callable[[str], None] | None = None) -> Turn:
        """The second half: the turn, with items where `begun.recommends`; `query` is then what `Recommender.read`
        makes of the session's past and request. See `reply`.
        """
        turn, session = begun.turn, begun.session
        with timed(turn, "total"):
            if query is not None:
                self._recommend(turn, session, query)
            _in_force(turn, session)
            with timed(turn, "reply"):
                streamed = self._word(turn, session, begun.act, begun.meant, on_text)
        turn.tokens = begun.tokens()
        self._commit(turn, session)
        if on_text is not None and not streamed:
            on_text(turn.text)
        return turn

    def like(self, places: Sequence[int]) -> Turn:
        """Add items of the last list (from 0) to what is liked, as a turn of its own.

        Raises:
            UserError: the list has no such place.
        """
        if any(not 0 <= place < len(self.session.listed) for place in places):
            raise UserError("the last list has no item with this number.")
        return self.command("like", lambda session: _add(session.liked, session, places))

    def drop(self, place: int) -> Turn:
        """Take back the rule or wish with this number (from 0: rules, then wishes) as a turn of its own.

        Raises:
            UserError: there is none.
        """

        def dropping(session: Session) -> None:
            if not 0 <= place < len(session.rules) + len(session.wishes):
                raise UserError("there is no rule with this number; /rules lists them.")
            found = [*session.rules, *session.wishes][place]
            session.rules = [heard for heard in session.rules if heard != found]
            session.wishes = [heard for heard in session.wishes if heard != found]
            forget_words(session, [found])

        return self.command("drop", dropping)

    def use(self, variant: Variant) -> Turn:
        """Go on in another variant.

        Raises:
            UserError: variant v without a language model.
        """
        if variant == "v" and self.model is None:
            raise UserError("variant v needs a language model; name one with --llm.")
        return self.command("variant", lambda session: setattr(session, "variant", variant))

    def command(self, name: str, change: Callable[[Session], None]) -> Turn:
        """A turn without words: a change of the session, stored like any other."""
        session = self.session.model_copy(deep=True)
        session.turns += 1
        change(session)
        turn = Turn(number=session.turns, utterance=f"/{name}", kind="command", variant=session.variant)
        _in_force(turn, session)
        self._commit(turn, session)
        return turn

    # What an utterance does.

    def _act(self, turn: Turn, session: Session, act: Act) -> bool:
        """Change the session by what was said; returns whether a recommendation follows."""
        if act.kind == "start over":
            _forget(session)
        if act.kind in ("seen", "refused", "accepted", "liked"):
            _add(getattr(session, act.kind), session, act.items)
        if act.kind == "more":  # like these
            _add(session.liked, session, act.items)
        if act.kind not in RECOMMENDING:
            return False
        asks = self._extract(turn, session, act)
        return asks or act.kind not in ("instruction", "start over", "liked", "accepted")

    def _extract(self, turn: Turn, session: Session, act: Act) -> bool:
        """Extract-Rules: what is asked of the catalogue goes into force. Returns whether anything was asked."""
        if not act.rest:
            return False
        with timed(turn, "rules"):
            before = list(session.said)
            try:
                heard = self.extractor.extract(act.rest, before, Call("rules", self.id, turn.number))
            except ModelError as error:
                self._went_on(turn, "rules by words alone", error)
                heard = self.fallback.extract(act.rest, before)
            heard, turn.unknown = applicable(self.recommender, heard)
            gone = update(self.recommender, session, heard, act.instead)
            turn.taken_back = [str(found.rule) for found in gone]
        only_back = bool(heard.dropped) and not (heard.rules or heard.wishes)
        plain = (
            act.kind in ("request", "foreign")
            or heard.rules
            or heard.wishes
            or (act.kind not in ("accepted", "instruction") and words_of(act.rest))
        )
        if plain and not only_back:
            session.said.append(clean(act.rest))
        return bool(plain or heard.dropped)

    def _read(self, begun: Begun) -> Query:
        """Behaviour and words, as one query."""
        recommender, session = self.recommender, begun.session
        with timed(begun.turn, "total"):
            with timed(begun.turn, "embed"):
                X = recommender.embed(session.request)
            with timed(begun.turn, "read"):
                return recommender.read(recommender.item_numbers(session.past), session.request, X)

    def _recommend(self, turn: Turn, session: Session, query: Query) -> None:
        """The next items for all that is known: filter, rank, explain, and in variant v judge."""
        recommender = self.recommender
        turn.request = query.request
        with timed(turn, "filter and rank"):
            available = np.ones(len(recommender.bundle.items), bool)
            available[query.past] = False
            available[query.left_out] = False
            available[recommender.item_numbers(session.not_again)] = False
            rules, wishes = (session.rules, session.wishes) if session.variant != "b" else ([], [])
            depth = JUDGED if session.variant == "v" else session.k
            found = rank_under_rules(recommender, query, rules, wishes, available, max(depth, session.k))
        if session.variant == "v":
            found = self._judged(turn, session, query, found)
        found = found.at(range(min(session.k, len(found.numbers))))
        with timed(turn, "explain"):
            explained = recommender.explain(query, found.numbers, found.scores)
        for item, fails in zip(explained, found.fails, strict=True):
            turn.items.append(
                TurnItem(
                    item_id=item.item_id,
                    title=item.title,
                    score=item.score,
                    intents=item.reason.intents,
                    because_of=item.reason.because_of,
                    words=_telling(item.reason.words, rules),
                    fails=[str(heard.rule) for heard in fails],
                )
            )
        turn.relaxed, turn.nearest = [str(heard.rule) for heard in found.relaxed], found.nearest
        session.listed = [item.item_id for item in turn.items]
        session.shown = list(dict.fromkeys([*session.shown, *session.listed]))

    def _judged(self, turn: Turn, session: Session, query: Query, found: Ranked) -> Ranked:
        """`found` reordered by the model's judgement; as it is where there is none."""
        if self.model is None or len(found.numbers) < 2:
            return found
        with timed(turn, "judge"):
            bundle = self.recommender.bundle
            rows = [bundle.items.row(int(number), named=True) for number in found.numbers]
            unfit = least_fitting(self.recommender, query, session.rules, self.controls)
            controls = [bundle.items.row(number, named=True) for number in unfit if number not in found.numbers]
            liked = [self._title(item_id) for item_id in session.past[-5:]]
            try:
                call = Call("judge", self.id, turn.number)
                given = grades(self.model, call, session.request, liked, rows, bundle.columns, controls)
            except ModelError as error:
                self._went_on(turn, "not judged", error)
                return found
        # What lacks less of the rules stays in front, whatever the judgement.
        return found.at(sorted(reordered(given, self.places), key=lambda place: found.costs[place]))

    def _went_on(self, turn: Turn, how: str, error: ModelError) -> None:
        turn.notes.append(f"{how}: {error.kind}")
        self.failures.append(f"{how}: {error}")

    # What is said.

    def _word(
        self, turn: Turn, session: Session, act: Act, meant: list[str], on_text: Callable[[str], None] | None
    ) -> bool:
        """The reply's text; `meant`: the items that the utterance speaks of. Returns whether `on_text` has had it."""
        turn.text = self._template(turn, session, act, meant)
        if self.talks and self.model is not None and turn.items:
            try:
                turn.text = self._by_model(turn, on_text)
                return True
            except ModelError as error:
                self._went_on(turn, "worded without the language model", error)
                if on_text is not None:
                    on_text("\n")
        return False

    def _by_model(self, turn: Turn, on_text: Callable[[str], None] | None) -> str:
        assert self.model is not None
        columns = self.recommender.bundle.columns
        items = [described(self._row(item.item_id), columns) for item in turn.items]
        note = turn.text if turn.relaxed or turn.unknown or turn.nearest else ""
        text = prompt("reply", request=turn.utterance, items=items, note=note)
        call = Call("reply", self.id, turn.number)
        said = self.model.complete([Message("user", text)], call, max_tokens=120, on_text=on_text)
        return " ".join(said.text.split())

    def _template(self, turn: Turn, session: Session, act: Act, meant: list[str]) -> str:
        if act.kind == "question":
            columns = self.recommender.bundle.columns
            return " ".join(answer_question(self._row(item_id), act.about, columns) for item_id in meant)
        if act.kind == "why":
            return " ".join(f"{self._title(item_id)}: {self.why(item_id)}." for item_id in meant)
        chosen = replies.listed([self._title(item_id) for item_id in meant])
        opening = {
            "seen": f"Noted, you know {chosen}.",
            "refused": f"Noted, not {chosen}." if len(act.items) <= 2 else "Noted, none of these.",
            "liked": f"Noted, you like {chosen}.",
            "accepted": f"Enjoy {chosen}!",
            "foreign": replies.FOREIGN,
            "instruction": replies.INSTRUCTION,
            "start over": replies.START_OVER,
        }.get(act.kind, "")
        if turn.items or act.kind in ("request", "more", "seen", "refused"):
            opening = "" if act.kind == "start over" else opening
            return f"{opening} {replies.recommending(turn, session)}".strip()
        fixed = {
            "greeting": replies.GREETING,
            "thanks": replies.THANKS,
            "small talk": replies.SMALL_TALK,
            "help": replies.HELP,
            "empty": replies.EMPTY,
        }
        if opening:
            return opening
        return fixed[act.kind].format(example=example_request(self.recommender.bundle))

    def why(self, item_id: str) -> str:
        """The reason that was given for an item of this conversation."""
        shown = (item for turn in reversed(self.recent) for item in turn.items if item.item_id == item_id)
        item = next(shown, None)
        return item.why if item else "it fits what you said and liked"

    # Keeping.

    def _commit(self, turn: Turn, session: Session) -> None:
        with uninterrupted():
            if self.store is not None:
                self.store.commit(self.id, turn, session)
            self.session = session
            self.recent = [*self.recent[-9:], turn]

    def _title(self, item_id: str) -> str:
        return str(self._row(item_id)["title"])

    def _row(self, item_id: str) -> dict[str, Any]:
        number = int(self.recommender.item_numbers([item_id])[0])
        return self.recommender.bundle.items.row(number, named=True)

    def _metered(self) -> Callable[[], tuple[int, int]]:
        return self.model.reading() if isinstance(self.model, Metered) else lambda: (0, 0)


def _telling(words: Sequence[str], rules: Sequence[HeardRule]) -> list[str]:
    """`words` of a request that say why an item fits: not those that say what is not wanted, and none that is a part
    of another ("Jim Carrey" says "jim" and "carrey" too).
    """
    unwanted = words_of(" ".join(heard.words for heard in rules if heard.rule.op == "not"))
    parts = {word: words_of(word) for word in words if word.lower() not in FUNCTION}
    return [
        word for word, part in parts.items() if part - unwanted and not any(part < other for other in parts.values())
    ]


def _add(to: list[str], session: Session, places: Sequence[int]) -> None:
    """Add items of the last list to one of the session's lists of items."""
    for place in places:
        item_id = session.listed[place]
        if item_id not in to:
            to.append(item_id)


def _forget(session: Session) -> None:
    """Start over: what was said, shown and refused is forgotten; what the user did (history, likes) is not."""
    session.said, session.rules, session.wishes = [], [], []
    session.listed, session.shown, session.refused = [], [], []


def _in_force(turn: Turn, session: Session) -> None:
    if session.variant != "b":
        turn.rules = [str(heard.rule) for heard in session.rules]
        turn.wishes = [str(heard.rule) for heard in session.wishes]
