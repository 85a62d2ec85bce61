"""A conversation: an utterance in, a turn out (section 4.3: Extract-Rules, Intent-Demonstration, B, F and V)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from latentcrs.base.errors import UserError
from latentcrs.base.uninterrupted import uninterrupted
from latentcrs.converse import wording
from latentcrs.converse.acts import Act, clean, items_meant, read_act
from latentcrs.converse.asking import question
from latentcrs.converse.bookkeeping import applicable, forget_words, update, wished_away
from latentcrs.converse.deciding import JOINS, kind_of, meant
from latentcrs.converse.filtering import RankedItems, least_fitting, rank_under_rules
from latentcrs.converse.judge import CONTROLS, JUDGED, PLACES, grades, reordered
from latentcrs.converse.sorting import first_by
from latentcrs.converse.steps import timed
from latentcrs.data.roles import addresses
from latentcrs.hear import Context, Extractor, Heard, HeardRule, Hearer, Reading
from latentcrs.hear.language import denies, word_set
from latentcrs.hear.llm import ModelHearer
from latentcrs.hear.open import hearer_of
from latentcrs.llm import Call, ChatModel, Meter, ModelError
from latentcrs.llm.model import encodable
from latentcrs.recommend import Query, Recommender
from latentcrs.recommend.explain import words_of
from latentcrs.recommend.policy import Policy, Shelf
from latentcrs.store.session import InForce, Session, Turn, TurnItem, Variant, without

if TYPE_CHECKING:
    from latentcrs.store.conversations import ConversationStore


@dataclass(frozen=True)
class PendingTurn:
    """Half a turn: what was heard, before anything is recommended.

    session: as the turn will leave it. meant: the items that the utterance speaks of. recommends: whether items
    follow.
    """

    turn: Turn
    session: Session
    reading: Reading
    meant: list[str]
    recommends: bool


Mark = Literal["like", "refuse", "seen"]
MARKED: dict[Mark, str] = {"like": "liked", "refuse": "refused", "seen": "seen"}
"""Which list of the session an item joins."""
TALK = frozenset({"question", "thanks", "greeting", "small talk", "unsure", "accepted", "instruction"})
"""Kinds of utterance whose words ask for nothing."""


class Conversation:
    """One person talking with one bundle. A turn that fails or is interrupted leaves it as it was.

    extractor: hears the rules; where its language model fails, the words alone are heard. model: judges in variant v
    (`places`, `controls`: see `judge`), and words the replies where `talks`. policy: the operator's; `session.always`
    holds beside it. asks: whether it asks back (see `asking`). store: every turn is committed to it before it is
    returned. failures: the last turn's `notes` with all that is known of what failed, for whoever runs the model;
    turns, which clients read, have the kind alone.
    """

    def __init__(
        self,
        recommender: Recommender,
        extractor: Extractor,
        session: Session | None = None,
        *,
        model: ChatModel | None = None,
        talks: bool = False,
        places: float = PLACES,
        controls: int = CONTROLS,
        store: ConversationStore | None = None,
        id: str = "",
    ) -> None:
        self.recommender, self.extractor = recommender, extractor
        own = extractor.hearer if isinstance(extractor, ModelHearer) else extractor
        self.hearer = own if isinstance(own, Hearer) else hearer_of(recommender)
        self.session = session or Session()
        self.model, self._meter = model, Meter()
        self.talks, self.places, self.controls, self.store, self.id = talks, places, controls, store, id
        self.policy, self.asks = Policy(), False
        self.recent: list[Turn] = []
        self.failures: list[str] = []
        if self.session.variant == "v" and model is None:
            raise UserError("variant v needs a language model; name one with --llm.")

    def reply(self, utterance: str, on_text: Callable[[str], None] | None = None) -> Turn:
        """The turn that answers `utterance`; committed to the store before it is returned.

        on_text: called with the reply's text: sentence by sentence where a language model writes it, each when it has
        been checked (`grounded`; a new line ends what one began and failed at), else whole, once the turn is stored.
        """
        begun = self.hear(utterance)
        query = self._read(begun) if begun.recommends else None
        return self.answer(begun, query, on_text)

    def hear(self, utterance: str) -> PendingTurn:
        """The first half of a turn: what was said, and what it changes. Nothing is kept before `answer` has ended."""
        session = self.session.model_copy(deep=True)
        session.turns += 1
        self.failures = []
        utterance = encodable(utterance)
        text = clean(utterance)
        turn = Turn(number=session.turns, utterance=utterance, kind="request", variant=session.variant)
        self._meter = Meter()
        with timed(turn, "total"):
            with timed(turn, "act"):
                listed = [self.row(item_id) for item_id in session.listed]
                titles, texts = ([str(row[name] or "") for row in listed] for name in ("title", "text"))
                act = read_act(text, titles, session.it_at, texts)
            with timed(turn, "hear"):
                reading = self._listen(turn, session, act.rest) if act.rest else Reading(acts=("other",))
            if act.about:
                reading = reading.model_copy(update={"about": act.about})
            if act.instead and reading.continues == "continues":
                reading = reading.model_copy(update={"continues": "corrects"})
            held = _held(session)
            spoken_of, recommends = self._act(turn, session, text, act, reading)
            session.before = session.before if _held(session) == held else held
        return PendingTurn(turn, session, reading, spoken_of, recommends)

    def answer(self, begun: PendingTurn, query: Query | None, on_text: Callable[[str], None] | None = None) -> Turn:
        """The second half: the turn, with items where `begun.recommends`; `query` is then what `Recommender.read`
        makes of the session's past and request. See `reply`.
        """
        turn, session = begun.turn, begun.session
        with timed(turn, "total"):
            if query is not None:
                self._recommend(turn, session, query, begun.reading)
            _in_force(turn, session)
            with timed(turn, "reply"):
                streamed = self._word(turn, session, begun.reading, begun.meant, on_text)
        turn.tokens = self._meter.tokens
        self._commit(turn, session)
        if on_text is not None and not streamed:
            on_text(turn.text)
        return turn

    def mark(self, kind: Mark, places: Sequence[int]) -> Turn:
        """Say of items of the last list (from 0) that they are liked, not wanted, or known, as a turn of its own.

        Raises:
            UserError: the list has no such place.
        """

        def marking(session: Session) -> None:
            if any(not 0 <= place < len(session.listed) for place in places):
                raise UserError("The last list has no item with this number.")
            for place in places:
                _join(session, MARKED[kind], session.listed[place])

        return self.command(kind, marking)

    def drop(self, place: int) -> Turn:
        """Take back the rule or wish with this number (from 0: rules, then wishes) as a turn of its own.

        Raises:
            UserError: there is none.
        """

        def dropping(session: Session) -> None:
            if not 0 <= place < len(session.rules) + len(session.wishes):
                raise UserError("there is no rule with this number; /rules lists them.")
            session.before = _held(session)
            found = [*session.rules, *session.wishes][place]
            session.rules = [heard for heard in session.rules if heard != found]
            session.wishes = [heard for heard in session.wishes if heard != found]
            forget_words(session, [found])

        return self.command("drop", dropping)

    def undo(self) -> Turn:
        """Put back what was in force before it was changed last, as a turn of its own.

        Raises:
            UserError: nothing was changed.
        """

        def putting_back(session: Session) -> None:
            if session.before is None:
                raise UserError("there is nothing to put back.")
            session.said, session.rules, session.wishes = (
                [*session.before.said], [*session.before.rules], [*session.before.wishes],
            )  # fmt: skip
            session.before = None

        return self.command("undo", putting_back)

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

    def _listen(self, turn: Turn, session: Session, text: str) -> Reading:
        """What was said; the rules in it by the extractor, where that is another than the hearer."""
        numbers = self.recommender.item_numbers(session.listed)
        last = self.recent[-1] if self.recent else None
        reply = "" if last is None else f"{last.text} {last.question.text if last.question else ''}".strip()
        asking = bool(session.rules or session.wishes or session.said)
        context = Context(
            listed=tuple(map(int, numbers)),
            reply=reply,
            before=tuple(session.said),
            asking=asking,
            rules=tuple(found.rule for found in (*session.wishes, *session.rules)),
            asked=last.question.column if last is not None and last.question is not None else "",
            told=session.told,
            it=session.it_at,
        )
        try:
            heard = self.extractor.extract(text, context, self.call("rules", turn))
        except ModelError as error:
            self._went_on(turn, "rules by words alone", error)
            return self.hearer.read(text, context)
        if isinstance(heard, Reading):
            return heard
        # What is in force follows whoever heard the rules, also in what they end.
        rules = {name: getattr(heard, name) for name in Heard.model_fields}
        return self.hearer.read(text, context).model_copy(update=rules)

    def _act(self, turn: Turn, session: Session, text: str, act: Act, reading: Reading) -> tuple[list[str], bool]:
        """Change the session by what was said; returns the items that it speaks of, and whether a list follows.

        What is said plainly of the last list, or to the system itself, is known by its form (`acts`); all else by
        what was heard (`deciding`).
        """
        listed, liked = list(session.listed), len(session.liked)
        if act.kind == "start over":
            _forget(session)
        if act.kind in ("request", "foreign"):
            turn.kind, recommends = kind_of(reading, session, len(act.rest.split()))
            places = meant(reading, turn.kind, len(listed), session.it_at)
        else:
            turn.kind, recommends, places = act.kind, act.kind in ("more", "seen", "refused"), act.items
        titles, rest, noted = [self.title(item_id) for item_id in listed], act.rest, set(JOINS.values())
        # "Not Fargo, I watched it yesterday": it is what was named.
        named = [title for title in reading.titles if not title.pointed]
        if act.kind not in noted or not places or items_meant(text, titles, pronouns=False):
            named = []
        places = () if named else places
        into = {"more": "liked"}.get(turn.kind, turn.kind)
        if into in ("seen", "refused", "accepted", "liked"):
            for place in places:
                if into != "accepted" or not self.is_gone(listed[place]):
                    _join(session, into, listed[place])
        session.told = reading.about if turn.kind in ("question", "accepted") else ""
        spoken_of = [listed[place] for place in places]
        pointed = {listed[place] for place in items_meant(text, titles, it=session.it_at)}
        for title in reading.titles if act.kind not in ("question", "why") else ():
            item_id = str(self.recommender.bundle.items["item_id"][title.number])
            if item_id not in spoken_of and (not title.pointed or item_id in pointed):
                # "Seen it and Heat"
                beside = act.kind in noted and rest.lower().startswith(title.words.lower())
                if beside or title in named:
                    _join(session, act.kind, item_id)
                    rest = without([rest], [title.words])[0].strip(" ,.;:!?-")
                elif title.stance != "asked_about":
                    _join(session, JOINS.get(title.stance, "named"), item_id)
                elif item_id not in listed:  # "do you have Top Gun?": from here on it stands behind the list
                    session.listed = [*session.listed, item_id]
                spoken_of.append(item_id)
        session.it = next((item_id for item_id in reversed(spoken_of) if item_id in session.listed), session.it)
        # Of an act, what is said beside it is asked for; of a refusal or a title known, nothing that was not heard.
        refuses = "reject" in reading.acts and "request" not in reading.acts[: reading.sure] and denies(act.rest)
        talk = refuses or turn.kind in TALK or (act.kind != turn.kind and turn.kind in ("seen", "refused", "liked"))
        asked = self._take_in(turn, session, reading, rest, talk) if rest else False
        session.liked_before = min(session.liked_before, liked)  # what is liked in the same breath is meant
        return spoken_of, recommends or asked

    def _take_in(self, turn: Turn, session: Session, reading: Reading, text: str, talk: bool) -> bool:
        """Extract-Rules: what is asked of the catalogue goes into force; of `talk`, only what was heard, and it ends
        nothing. Returns whether anything was asked.
        """
        with timed(turn, "rules"):
            heard, unknown = applicable(self.recommender, reading)
            away = wished_away(self.recommender, reading)
            heard = heard.model_copy(update={"wishes": (*heard.wishes, *away)})
            turn.unknown = [words for words in unknown if words not in [found.words for found in away]]
            if talk and heard.continues == "turns":
                heard = heard.model_copy(update={"continues": "continues"})
            if heard.continues == "turns":
                session.liked_before = len(session.liked)
            gone = update(self.recommender, session, heard)
            turn.taken_back = [str(found.rule) for found in gone]
        asks = bool(heard.rules or heard.wishes)
        only_back = bool(heard.dropped) and not asks
        similar = any(title.stance == "wants_similar" for title in reading.titles)
        words = turn.kind == "request" or bool(words_of(text))
        said = not only_back and (asks or similar or (words and not talk))
        if said:
            session.said.append(text)
            session.denied = [*session.denied, *reading.denied]
            turn.needs = [need for need in reading.needs if self.recommender.tells(need)]
        return said or bool(heard.dropped)

    def _read(self, begun: PendingTurn) -> Query:
        """Behaviour and words, as one query."""
        recommender, session = self.recommender, begun.session
        with timed(begun.turn, "total"):
            with timed(begun.turn, "embed"):
                X = recommender.embed(session.request)
            with timed(begun.turn, "read"):
                past, unliked, alike = map(recommender.item_numbers, (session.past, session.unliked, session.alike))
                return recommender.read(past, session.wording, X, unliked, alike)

    def _recommend(self, turn: Turn, session: Session, query: Query, reading: Reading) -> None:
        """The next items for all that is known: filter, rank, explain, and in variant v judge."""
        recommender, sort = self.recommender, reading.sort
        turn.request = session.request
        with timed(turn, "filter and rank"):
            policy = self.policy | Policy(always=tuple(session.always))
            available = policy.offered(recommender)
            available[recommender.not_again(query.past)] = False
            available[query.left_out] = False
            # Who narrows a list down means what is on it, too.
            before = [found.rule for found in self.session.rules]
            new = [found.rule for found in session.rules if found.rule not in before]
            narrows = session.variant != "b" and any(rule.op != "not" for rule in new)
            gone = set(session.unwanted if narrows or sort is not None else session.not_again)
            gone -= self._wished_of_the_list(session) - set(session.unwanted)
            available[recommender.item_numbers(gone)] = False
            rules, wishes = (session.rules, session.wishes) if session.variant != "b" else ([], [])
            if sort is not None:
                available = first_by(recommender, sort, session, available, rules)
                turn.sorted_by = sort.words
            depth = JUDGED if session.variant == "v" else session.k
            shelf = Shelf(recommender, query, policy)
            found = rank_under_rules(recommender, query, rules, wishes, available, max(depth, session.k), shelf)
        if sort is not None:
            found = found.at(recommender.ordered(sort.column, sort.descending, found.numbers).tolist())
        elif session.variant == "v":
            found = self._judged(turn, session, query, found)
        found = found.at(range(min(session.k, len(found.numbers))))
        with timed(turn, "explain"):
            explained = recommender.with_reasons(query, found.numbers, found.scores, shelf.promoted)
        for item, fails in zip(explained, found.fails, strict=True):
            image, link = addresses(self.row(item.item_id), recommender.bundle.columns)
            turn.items.append(
                TurnItem(
                    item_id=item.item_id,
                    title=item.title,
                    score=item.score,
                    intents=item.reason.intents,
                    because_of=item.reason.because_of,
                    words=_telling(item.reason.words, rules),
                    promoted=item.reason.promoted,
                    image=image,
                    link=link,
                    fails=[str(heard.rule) for heard in fails],
                )
            )
        turn.relaxed, turn.nearest = [str(heard.rule) for heard in found.relaxed], found.nearest
        session.listed, session.it = [item.item_id for item in turn.items], None
        session.shown = list(dict.fromkeys([*session.shown, *session.listed]))
        if self.asks:
            turn.question = question(recommender, query, available, turn, session, reading)
        if turn.question is not None:
            session.asked, session.asked_at = [*session.asked, turn.question.column], turn.number

    def _wished_of_the_list(self, session: Session) -> set[str]:
        """What was listed and is wished for now: "are there any with Tom Hanks?" is said of it, too."""
        before = [found.rule for found in self.session.wishes]
        new = [found.rule for found in session.wishes if found.rule.op in ("is", "has any")]
        masks = [self.recommender.mask(rule) for rule in new if rule not in before and session.variant != "b"]
        numbers = self.recommender.item_numbers(self.session.listed).tolist()
        return {item for item, n in zip(self.session.listed, numbers, strict=True) if any(mask[n] for mask in masks)}

    def _judged(self, turn: Turn, session: Session, query: Query, found: RankedItems) -> RankedItems:
        """`found` reordered by the model's judgement; as it is where there is none."""
        if self.model is None or len(found.numbers) < 2:
            return found
        with timed(turn, "judge"):
            bundle = self.recommender.bundle
            rows = [bundle.items.row(int(number), named=True) for number in found.numbers]
            unfit = least_fitting(self.recommender, query, session.rules, self.controls)
            controls = [bundle.items.row(number, named=True) for number in unfit if number not in found.numbers]
            liked = [self.title(item_id) for item_id in session.past[-5:]]
            try:
                call = self.call("judge", turn)
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
        self, turn: Turn, session: Session, reading: Reading, meant: list[str], on_text: Callable[[str], None] | None
    ) -> bool:
        """The reply's text; `meant`: the items that the utterance speaks of. Returns whether `on_text` has had it."""
        turn.text = wording.by_template(self, turn, session, reading, meant)
        if self.talks and self.model is not None and turn.items:
            try:
                turn.text = wording.by_model(self, turn, on_text)
                return True
            except ModelError as error:
                self._went_on(turn, "worded without the language model", error)
        return False

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

    def is_gone(self, item_id: str) -> bool:
        """Whether an item, which may have been shown, is not to be had any more."""
        return not self.recommender.offered[self.recommender.item_numbers([item_id])[0]]

    def title(self, item_id: str) -> str:
        """What an item is called."""
        return str(self.row(item_id)["title"])

    def row(self, item_id: str) -> dict[str, Any]:
        """What the catalogue says of an item."""
        number = int(self.recommender.item_numbers([item_id])[0])
        return self.recommender.bundle.items.row(number, named=True)

    def call(self, purpose: str, turn: Turn) -> Call:
        """A call of the language model for `purpose`, counted for the turn."""
        return Call(purpose, self.id, turn.number, self._meter)


def _telling(words: Sequence[str], rules: Sequence[HeardRule]) -> list[str]:
    """`words` of a request that say why an item fits: not those that say what is not wanted, and none that is a part
    of another ("Jim Carrey" says "jim" and "carrey" too).
    """
    unwanted = words_of(" ".join(heard.words for heard in rules if heard.rule.op == "not"))
    parts = {word: words_of(word) for word in words if word.lower() not in word_set("en", "talk")}
    return [
        word for word, part in parts.items() if part - unwanted and not any(part < other for other in parts.values())
    ]


def _join(session: Session, name: str, item_id: str) -> None:
    """Add an item to one of the session's lists of items."""
    to: list[str] = getattr(session, name)
    if item_id not in to:
        to.append(item_id)


def _held(session: Session) -> InForce:
    """What is in force now."""
    return InForce(said=list(session.said), rules=list(session.rules), wishes=list(session.wishes))


def _forget(session: Session) -> None:
    """Start over: what was said, shown and refused is forgotten; what the user did (history, likes) is not."""
    session.said, session.rules, session.wishes = [], [], []
    session.liked_before = len(session.liked)
    session.listed, session.shown, session.refused = [], [], []


def _in_force(turn: Turn, session: Session) -> None:
    if session.variant != "b":
        turn.rules = [str(heard.rule) for heard in session.rules]
        turn.wishes = [str(heard.rule) for heard in session.wishes]
