"""Hears an utterance: values by the catalogue, their stance, titles and acts by heads over one pass of the
encoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache, cached_property
from typing import Any

import numpy as np
import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.hear.assembly import ValueMention, assembled
from latentcrs.hear.gazetteer import Gazetteer
from latentcrs.hear.heads import Floats, Head, Read, StateEncoder, load_heads, mention_features, utterance_features
from latentcrs.hear.language import Line, Token, denials, language_of, patterns, word_set, words
from latentcrs.hear.needs import telling_words
from latentcrs.hear.numbers import Numbers
from latentcrs.hear.reading import Act, Context, HeardTitle, Reading, Sort, Stance
from latentcrs.hear.stance import HARD, judge
from latentcrs.hear.values import ValueFinder
from latentcrs.llm import Call
from latentcrs.recommend.titles import TitleFinder

LONGEST = 2000
"""Characters of an utterance that are read: its beginning and its end."""
ACT, SURE, TURN, PLURAL = 0.18, 0.4, 0.6, 0.3
"""From which probability on an act is heard at all, is acted upon, a turn is one to something new, and the stance to
several items at once is believed."""
NEAR = 5
"""So many words before a title may say that it is known."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
ENCODERS_LANGUAGES = frozenset({"en"})
Second = Callable[[Line, Context, list[HeardTitle], list[ValueMention]], list[HeardTitle]]
"""Has the titles and mentions of a line with their stance; gives the titles back, and may change the mentions."""


@cache
def _embedded() -> StateEncoder:
    """The embedded encoder, once for all catalogues."""
    from latentcrs.text.minilm import MiniLM
    from latentcrs.text.model_folders import embedded_minilm

    return MiniLM(embedded_minilm(), "minilm")


class Hearer:
    """Hears over one catalogue. Nothing is built or loaded before the first utterance.

    encoder: hands out token states; the embedded one by default. finder: finds titles, those of `items` by their rows
    and others by higher numbers; made of `items` by default, where all are as popular. hard: from which probability
    on what is asked for filters.
    """

    name = "hear"

    def __init__(
        self,
        items: pl.DataFrame,
        columns: Mapping[str, ColumnKind],
        encoder: StateEncoder | None = None,
        heads: Mapping[str, Head] | None = None,
        finder: Callable[[], TitleFinder | None] | None = None,
        hard: float = HARD,
    ) -> None:
        self.items, self.columns = items, dict(columns)
        self._encoder, self._heads, self._given_finder = encoder, heads, finder
        self.hard = hard

    @cached_property
    def gazetteer(self) -> Gazetteer:
        """The values of the catalogue."""
        return Gazetteer(self.items, self.columns)

    @cached_property
    def numbers(self) -> Numbers:
        """The number and year columns of the catalogue."""
        year = next((column for column, kind in self.columns.items() if kind == "year"), "")
        years: list[Any] = self.items[year].drop_nulls().to_list() if year else []
        roles, numbered = self.gazetteer.roles, self.gazetteer.numbered
        return Numbers(self.columns, roles, numbered, min(years, default=None), max(years, default=None))

    @cached_property
    def values(self) -> ValueFinder:
        """Finds the values of the catalogue."""
        return ValueFinder(self.items, self.columns, self.gazetteer, self.numbers)

    @cached_property
    def finder(self) -> TitleFinder:
        """Finds the titles of the catalogue."""
        given = self._given_finder() if self._given_finder is not None else None
        if given is not None:
            return given
        years: list[int | None] = (
            self.items["year"].to_list() if "year" in self.items.columns else [None] * len(self.items)
        )
        titles = [title or "" for title in self.items["title"].to_list()]
        return TitleFinder(titles, years, [1.0] * len(titles))

    @cached_property
    def heads(self) -> Mapping[str, Head]:
        """The heads: "stance", "title", "act", "turn"."""
        return self._heads if self._heads is not None else load_heads()[0]

    @cached_property
    def encoder(self) -> StateEncoder:
        """Reads the sentences."""
        return self._encoder or _embedded()

    def use(self, heads: Mapping[str, Head]) -> None:
        """Go on with other heads."""
        self.__dict__["heads"] = heads

    def over(self, items: pl.DataFrame, finder: Callable[[], TitleFinder | None]) -> Hearer:
        """The same over a catalogue that has the same words."""
        made = copy(self)
        made.items, made._given_finder = items, finder
        made.__dict__.pop("values", None)
        return made

    def warm(self) -> None:
        """Build and load everything now: what a first utterance would wait for."""
        self.read("hello")

    def refused(self, text: str) -> list[int]:
        """The items, by row, that `text` names without liking them."""
        return [title.number for title in self.read(text).titles if title.stance in ("disliked", "rejected", "seen")]

    def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Reading:
        """See `Extractor.extract`."""
        return self.read(utterance, context)

    def read(self, utterance: str, context: Context | None = None, second: Second | None = None) -> Reading:
        """What `utterance` says in `context`. second: somebody else's word on what was found in it."""
        context = context or Context()
        text = utterance if len(utterance) <= LONGEST else f"{utterance[: LONGEST // 2]} {utterance[-LONGEST // 2 :]}"
        if not any(c.isalnum() for c in text):
            return Reading(acts=("other",))
        read, sentences, reply = self._read(text, context.reply[-300:])
        line, language = read.line, language_of(text)
        half = language not in ENCODERS_LANGUAGES
        taken = [False] * len(line.tokens)
        named = self._titles(read, taken, language)
        titles = [title for title in named if title.number < len(self.items)]
        titles += self._pointed(read, context, taken, language, titles) if context.listed else []
        spoken = self.values.find(line, language, taken, context, named)
        for one in spoken:
            asked = one.pointed or any(rule.column == context.asked for rule in one.rules)
            judge(one, read, language, half, self.heads["stance"], self.hard, asked)
            negates = word_set(language, "negate") & {t.word for t in line.tokens[max(0, one.first - 3) : one.first]}
            if one.stance == "dropped" and negates and context.rules and not self._in_force(one, context):
                one.stance, one.p = "refused", self.hard  # "not the scary kind", where nothing scary was asked for
            if self._goes_on_refusing(one, line, language, context):  # "not Adam Sandler", then "or Jim Carrey"
                one.stance, one.p = "refused", self.hard
        if all(one.stance == "mentioned" for one in spoken):
            spoken += self.values.in_another_role(line, language, context)
        titles = titles if second is None else second(line, context, titles, spoken)
        remembered = any(pattern.search(line.line) for _, pattern in patterns(language, "remembered"))
        for one in spoken:
            if remembered and one.stance == "rule" and not one.insisted:  # memory errs: it ranks, and hides nothing
                one.stance = "wish"
            if one.stance == "refused":  # of nobody's work, whatever it was
                # Of what several values make ("romcom") the first: without romance it is none.
                one.rules = self.values.everywhere(one.rules[0], line, language)
        sort = self._sort(line, language, taken, bool(context.listed))
        for one in spoken:
            taken[one.first : one.last] = [True] * (one.last - one.first)
        acts, sure = self._acts([read, *sentences], reply)
        asks = bool({"request", "more"} & set(acts))
        said = {rule.column for one in spoken for rule in one.rules}
        compared = self.values.comparisons(line, language, taken, context, asks)
        spoken += [one for one in compared if one.rules[0].column not in said]
        rules, wishes, dropped = assembled(line, spoken, language, half)
        if half:
            acts = tuple(dict.fromkeys(["request", *acts]))
        untold = self._untold(line, taken, language)
        needs, denied, unwanted = telling_words(line, taken, language)
        continues = "continues"
        if context.asking and not any(one.insisted for one in spoken) and self._turns(read, acts, sure):
            continues = "turns"
        elif rules and not any(t.word in word_set(language, "also") for t in line.tokens[:2]):
            continues = "corrects"
        return Reading(
            rules=rules,
            wishes=wishes,
            dropped=dropped,
            unknown=(*untold, *denied),
            denied=denied,
            unwanted=unwanted,
            titles=tuple(titles),
            acts=acts,
            sure=sure,
            continues=continues,
            needs=needs,
            sort=sort,
            about=self._about(line, language, taken, spoken) if {"question", "accept"} & set(acts) else "",
            language=language if half else "",
            notes=(*self._notes(spoken, line, language if half else ""), *self._missed(named)),
        )

    def _read(self, text: str, reply: str) -> tuple[Read, list[Read], Floats]:
        """`text`, its sentences where it has several, and the vector of the reply before it, in one pass."""
        sentences = [part for part in _SENTENCE.split(text) if any(c.isalnum() for c in part)]
        texts = [text, *(sentences if len(sentences) > 1 else ())]
        states = self.encoder.states([*texts, reply] if reply else texts)
        whole, *parts = (Read.of(*pair) for pair in zip(texts, states, strict=False))
        return whole, parts, states[-1].vector if reply else np.zeros_like(whole.vector)

    # What is named.

    def _titles(self, read: Read, taken: list[bool], language: str) -> list[HeardTitle]:
        found, ended = list[HeardTitle](), -1
        mentions = self.finder.find(read.line.text)
        values = self.gazetteer.find(read.line, language, taken) if mentions else []
        for mention in mentions:
            inside = [n for n, t in enumerate(read.line.tokens) if mention.start <= t.start and t.end <= mention.end]
            if not inside or any(taken[n] for n in inside):
                continue
            if any(v.first <= inside[0] and inside[-1] < v.last and len(inside) < v.last - v.first for v in values):
                continue  # "for grown-ups" is no film
            for n in inside:
                taken[n] = True
            stance, p = self._stance(read, inside[0], inside[-1] + 1, language)
            words_near = [token.word for token in read.line.tokens[max(0, inside[0] - 4) : inside[-1] + 5]]
            before = read.line.tokens[inside[0] - 1].word if inside[0] else ""
            known = self._known(read.line, inside[0], language) or (ended == inside[0] - 1 and before == "and")
            known = known or self._said_seen(read.line.tokens[inside[-1] + 1 :][:NEAR], language)  # "Heat we saw"
            known = known and not any(denials(words_near, language))
            if stance in ("liked", "accepted") and known and not word_set(language, "like") & set(words_near):
                stance = "seen"
            if stance in ("liked", "accepted", "wants_similar") and self._refuses(read.line, inside[0], language):
                stance, p = "rejected", SURE
            if p * mention.certainty < PLURAL:  # nothing is clear of it but that it is spoken of
                stance = "named"
            ended = inside[-1] + 1 if stance == "seen" else ended
            said = read.line.text[mention.start : mention.end]
            certainty = round(p * mention.certainty, 3)
            # The first number, where none is of this catalogue: it is known, and not to be had here.
            number = next((number for number in mention.numbers if number < len(self.items)), mention.numbers[0])
            found.append(HeardTitle(number=number, stance=stance, words=said, certainty=certainty))
        return found

    def _known(self, line: Line, first: int, language: str) -> bool:
        """Whether what stands at `first` is said to be seen: right before it, or before "most of", "the film"."""
        return self._said_seen(line.tokens[max(0, first - NEAR) : first][::-1], language)

    def _refuses(self, line: Line, first: int, language: str) -> bool:
        """Whether what stands at `first` is refused by the word before it: "not Casablanca", "nothing like Alien"."""
        said = [token.word for token in line.tokens[max(0, first - 3) : first]]
        said = said[:-1] if said[-1:] == ["like"] else said
        return bool(said) and said[-1] in word_set(language, "refuse") | {"not"} and "why" not in said

    def _said_seen(self, tokens: Sequence[Token], language: str) -> bool:
        """Whether one of these says so, and all before it say nothing."""
        idle = word_set(language, "talk") | word_set(language, "function")
        telling = (
            token.word for token in tokens if token.word not in idle or token.word in word_set(language, "seen")
        )
        return next(telling, "") in word_set(language, "seen")

    def _stance(self, read: Read, first: int, last: int, language: str) -> tuple[Stance, float]:
        p = self.heads["title"](mention_features(read, first, last, language))
        best = max(p, key=lambda name: p[name])
        return best, p[best]  # type: ignore[return-value]

    def _pointed(
        self, read: Read, context: Context, taken: list[bool], language: str, named: Sequence[HeardTitle]
    ) -> list[HeardTitle]:
        """Items of the last list that are pointed at: "the second one", "both", "it"; beside the titles `named`."""
        line, seen = read.line, [title.words.lower() for title in named if title.stance == "seen"]
        pointing: dict[str, Any] = {name: pattern for name, pattern in patterns(language, "pointing")}
        found: dict[int, HeardTitle] = {}

        def point(first: int, last: int, places: Sequence[int]) -> None:
            if any(taken[first:last]):
                return
            stance, p = self._stance(read, first, last, language)
            before = line.text[: line.tokens[first].start].lower().split()
            beside = " ".join(before[:-1] if before[-1:] == ["the"] else before)
            likes = word_set(language, "like") & {token.word for token in line.tokens}
            known = len(places) > 1 and stance != "not_seen" and not likes and self._known(line, first, language)
            if known or any(beside.endswith(f"{title} and") for title in seen):
                stance, p = "seen", 1.0
            elif len(places) > 1 and p < PLURAL:
                stance = "named"
            for place in places:
                if 0 <= place < len(context.listed) and stance != "named":
                    number = context.listed[place]
                    one = HeardTitle(
                        number=number,
                        stance=stance,
                        words=line.said(first, last),
                        certainty=round(p, 3),
                        pointed=True,
                    )
                    if number not in found or found[number].certainty < p:
                        found[number] = one

        order = [w for one in dict.fromkeys((language, "en")) for w in words(one)["pointing"]["ordinals"]]
        for match in pointing["ordinals"].finditer(line.line):
            place = order.index(match[0]) if match[0] in order else 0
            point(*line.span(match), [place % 8])
        for match in pointing["all"].finditer(line.line):
            point(*line.span(match), range(len(context.listed)))
        for match in pointing["two"].finditer(line.line) if len(context.listed) == 2 else ():
            point(*line.span(match), range(2))
        if not found:
            called = {
                line.span(match)[0] for _, name in patterns(language, "column") for match in name.finditer(line.line)
            }
            for first, last in map(line.span, pointing["it"].finditer(line.line)):
                before = line.text[: line.tokens[first].start].lower()
                # "This decade" is no item; "it" behind a title is what was named.
                if last in called or self._is_relative(line, first, language):
                    continue
                if not any(title.words.lower() in before for title in named):
                    point(first, last, [context.it])
        return list(found.values())

    def _in_force(self, one: ValueMention, context: Context) -> bool:
        """Whether something is in force that taking `one` back would end: a value of its, or anything of a column."""
        rules = [(mine, held) for mine in one.rules for held in context.rules if mine.column == held.column]
        return any(one.whole or not set(np.ravel(a.value)).isdisjoint(np.ravel(b.value)) for a, b in rules)

    def _is_relative(self, line: Line, first: int, language: str) -> bool:
        """Whether a "that" goes on about the word before it: "a film that makes me laugh"."""
        before = line.tokens[first - 1].word if first else ","
        if line.tokens[first].word != "that" or not before.isalnum():
            return False
        points = (word_set(language, name) for name in ("function", "seen", "like", "dislike", "deny", "talk"))
        return before in word_set(language, "antecedent") or not any(before in some for some in points)

    def _goes_on_refusing(self, one: ValueMention, line: Line, language: str, context: Context) -> bool:
        last = context.rules[-1] if context.rules else None
        begins = line.tokens[0].word in word_set(language, "either") and one.first <= 2
        return begins and last is not None and last.op == "not" and last.column == one.rules[0].column

    # What is done.

    def _acts(self, parts: Sequence[Read], reply: Floats) -> tuple[tuple[Act, ...], int]:
        """The acts, the likeliest first, and how many of them are sure. Each sentence is looked at by itself too:
        half of what people say does several things.
        """
        each = [self.heads["act"](utterance_features(part, reply)) for part in parts]
        p = {name: max(one[name] for one in each) for name in each[0]}
        order = sorted(p, key=lambda name: -p[name])
        acts = [name for n, name in enumerate(order) if n == 0 or (p[name] >= ACT and n < 3)]
        return tuple(acts), sum(p[name] >= SURE for name in acts)  # type: ignore[arg-type]

    def _turns(self, read: Read, acts: Sequence[Act], sure: int) -> bool:
        compares = any(t.word in ("more", "less") or t.word.endswith("ier") for t in read.line.tokens)
        asks = not sure or bool({"request", "more"} & set(acts))
        if not asks or acts[0] == "reject" or compares:
            return False
        return self.heads["turn"](utterance_features(read, np.zeros_like(read.vector)))["turns"] >= TURN

    def _sort(self, line: Line, language: str, taken: list[bool], listed: bool) -> Sort | None:
        for first, last, column, descending in self.numbers.orders(line, language):
            if any(taken[first:last]):
                continue
            taken[first:last] = [True] * (last - first)
            pattern = dict(patterns(language, "pointing"))["listed"]
            over = listed and bool(pattern.search(line.line) or " which " in line.line)
            return Sort(column=column, descending=descending, listed=over, words=line.said(first, last))
        return None

    def _about(self, line: Line, language: str, taken: Sequence[bool], spoken: Sequence[ValueMention]) -> str:
        """What a question asks for, by its words, else the column of a value in it ("is it scary?")."""
        for name, pattern in patterns(language, "asked"):
            spans = [line.span(match) for match in pattern.finditer(line.line)]
            if any(not all(taken[first:last]) for first, last in spans):
                return name
        asked = (rule.column for one in spoken if one.stance == "mentioned" and not one.whole for rule in one.rules)
        return next((self.gazetteer.roles.get(column, "") for column in asked), "")

    def _untold(self, line: Line, taken: list[bool], language: str) -> tuple[str, ...]:
        """Numbers and orders of what no column says ("under 100 minutes"); their words are then taken."""
        found = []
        for first, last in self.numbers.untold(line, language):
            if not any(taken[first:last]):
                taken[first:last] = [True] * (last - first)
                found.append(line.said(first, last))
        return tuple(found)

    def _notes(self, spoken: Sequence[ValueMention], line: Line, language: str) -> tuple[str, ...]:
        notes = []
        if language:
            half = words(language)["half"] if language in ("de", "es", "fr") else ""
            notes.append(
                half or "I only half understand this language: your words rank, and nothing is filtered by them."
            )
        for one in spoken:
            if one.assumed and one.stance in ("rule", "wish", "refused"):
                notes.append(
                    f"I take \u201c{line.said(one.first, one.last)}\u201d as {one.rules[0].column.replace('_', ' ')}."
                )
        return tuple(notes)

    def _missed(self, named: Sequence[HeardTitle]) -> Iterator[str]:
        """What is said of titles that were asked for and that the catalogue does not have."""
        for title in named:
            if title.number >= len(self.items) and title.stance in ("asked_about", "accepted"):
                yield f"“{title.words}” is not in this catalogue."
