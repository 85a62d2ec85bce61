"""The extractor that needs no language model: the catalogue's own values in the words, and a grammar of requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.data.rules import Rule
from latentcrs.language.chat import Call
from latentcrs.language.extract.assembly import assembled, distinct
from latentcrs.language.extract.heard import Heard
from latentcrs.language.extract.mentions import Mention
from latentcrs.language.extract.numbers import bounds_said
from latentcrs.language.extract.scope import chain, mark
from latentcrs.language.extract.spelling import Spelling
from latentcrs.language.extract.taken_back import columns_left_open, columns_taken_back
from latentcrs.language.extract.talk import Asides
from latentcrs.language.extract.titles import Titles, years_in_brackets
from latentcrs.language.extract.tokens import Line, stem, tokenise
from latentcrs.language.extract.topics import Span as Topic
from latentcrs.language.extract.topics import Topics
from latentcrs.language.extract.unknown import Unknown, said_as_condition, unheard_names
from latentcrs.language.extract.values import Found, Values
from latentcrs.language.extract.vocabulary import Vocabulary
from latentcrs.language.extract.what_texts_say import Texts
from latentcrs.language.extract.years import Span, spans_of_years

_TOPIC = 0.3
_NEAR = 30
"""Years outside of the catalogue's own that a bare number may still be."""
_LONGEST_TEXT = 20_000
_GRAMMAR = (
    "with from that before after since until between directed director starring featuring written published "
    "developed without anything nothing except ideally preferably maybe perhaps possibly movie movies film "
    "films game games album albums record records accessory accessories something about involving recommend "
    "parody superhero superheroes zombie zombies vampire vampires thanks tonight "
    "looking seventies eighties nineties sixties fifties forties thirties twenties later late earlier newer older "
    "early around dollars under console rated rating produced released should would could cant dont wont isnt "
).split()
_IN_TITLE = re.compile(
    r" (?:with (?:the )?(?:words? )?(?P<a>(?:\"|\w+)(?: \w+){0,3}?)(?: \")? in (?:the|its|their) (?:title|name)s?"
    r"|(?:title|name) (?:has|with|contains|containing|includes|including|that has|that contains|must have) "
    r"(?:the )?(?:words? )?(?:\" )?(?P<b>\w+)"
    r"|\" (?P<c>\w+(?: \w+){0,3}) \" in (?:the|its) (?:title|name))(?= )"
)


class LexicalExtractor:
    """Hears predicates over one catalogue by its own values, general synonyms and a grammar of English requests.

    Everything that depends on the catalogue is indexed once; an utterance is then read in time linear in its length.
    """

    name = "lexical"

    def __init__(self, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        """`items`: the catalogue, with title, text and `columns` (name -> kind)."""
        self.columns = dict(columns)
        vocabulary = Vocabulary(items, columns)
        self._has_text = "text" in columns.values()
        self._values = Values(vocabulary, self._has_text)
        self._roles = vocabulary.roles
        self._spelling = Spelling({*vocabulary.words(), *_GRAMMAR})
        self._titles = Titles(items["title"].to_list(), {*vocabulary.phrases, *vocabulary.foreign})
        self._texts = Texts(items["text"] if "text" in items.columns else items["title"])
        self._topics = Topics(self._texts)
        self._unknown = Unknown(columns)
        self._year = next((column for column, kind in columns.items() if kind == "year"), "")
        years: list[int] = items[self._year].drop_nulls().cast(pl.Int64).to_list() if self._year else []
        self._oldest, self._newest = min(years, default=None), max(years, default=None)
        self._numbers = {column: self._roles[column] for column, kind in columns.items() if kind == "number"}

    def extract(self, utterance: str, before: Sequence[str] = (), call: Call | None = None) -> Heard:
        """What `utterance` says; `before` are the user's earlier utterances in the conversation, oldest first.
        `call` is for extractors that ask a model.
        """
        line = tokenise(utterance[:_LONGEST_TEXT])
        if not line.tokens:
            return Heard()
        self._put_right(line)
        mentions, unknown, asides = self._mentions(line)
        chain(line, mentions)
        mark(line, mentions, asides)
        left_open = columns_left_open(line.line, self._roles)
        for mention in mentions:
            mention.soft |= mention.column in left_open
        heard = assembled(line, mentions, self.columns)
        back = columns_taken_back(line.line, self._roles)
        dropped = [*heard.dropped, *self._earlier(back, before)]
        return heard.model_copy(update={"unknown": unknown, "dropped": distinct(dropped)})

    def _put_right(self, line: Line) -> None:
        """Correct slips of the fingers in words that the grammar or the catalogue knows."""
        changed = False
        for token in line.tokens:
            if token.mark or token.stem in self._spelling:
                continue
            meant = self._spelling.put_right(token.word) or self._spelling.put_right(token.stem)
            if meant:
                token.word, token.stem, token.slip, changed = meant, stem(meant), True, True
        if changed:
            line.join()

    def _mentions(self, line: Line) -> tuple[list[Mention], tuple[str, ...], Asides]:
        """What of the catalogue is spoken of, in order, the conditions that it cannot decide, and asides."""
        taken = [False] * len(line.tokens)
        unknown: list[tuple[int, int]] = []
        years = years_in_brackets(line)
        for year in years:
            taken[year - 1 : year + 2] = [True] * len(taken[year - 1 : year + 2])
        mentions = self._ranges(line, taken, unknown)
        mentions += self._in_title(line, taken)
        found = self._values.find(line, taken)
        meant = [(m.start, m.end, m.named) for m in (*mentions, *found.mentions)]
        titles = self._titles.spans(line, meant, years)
        decided_not = self._unknown.spans(line) + [(start, end) for start, end, _ in found.foreign]
        titles = [t for t in titles if not any(u[0] <= t[0] and t[1] <= u[1] for u in decided_not)]
        asides = Asides(line, titles, [(m.start, m.end) for m in found.mentions if m.named])
        series = [(start, end) for start, end in titles if self._topics.is_series(line, start, end)]
        titles = [span for span in titles if span not in series]
        title = [False] * len(line.tokens)
        for start, end in titles:
            title[start:end] = [True] * (end - start)
        mentions = [m for m in (*mentions, *found.mentions) if m.sort == "title" or not any(title[m.start : m.end])]
        for mention in mentions:
            taken[mention.start : mention.end] = [True] * (mention.end - mention.start)
        sorts = {mention.start for mention in mentions if not mention.named and mention.sort == "category"}
        subjects = [(start, end, self._texts.said(line.words(start, end))) for start, end in series]
        subjects += self._topics.subjects(line, [a or b for a, b in zip(taken, title, strict=True)], sorts)
        for start, end, _ in subjects:
            taken[start:end] = [True] * (end - start)
        unknown += self._undecided(line, taken, title, found)
        unknown = [span for span in unknown if not asides.cover(line.at[span[0]])]
        for start, end in (*titles, *unknown):
            taken[start:end] = [True] * (end - start)
        mentions += self._spoken_topics(line, taken, subjects, bool(titles or unknown))
        words = tuple(dict.fromkeys(line.said(start, end) for start, end in sorted(unknown)))
        return sorted(mentions, key=lambda mention: (mention.start, mention.end)), words, asides

    def _spoken_topics(
        self, line: Line, taken: Sequence[bool], subjects: Sequence[Topic], else_said: bool
    ) -> list[Mention]:
        """What the plot is to be about: `subjects`, and what is said so outside of the tokens `taken`."""
        topics = [*subjects, *self._topics.spans(line, taken)]
        heard = {place for start, end, _ in topics for place in range(start, end)}
        blocked = [taken[place] or place in heard for place in range(len(taken))]
        topics += self._topics.before_nouns(line, blocked, self._titles)
        if self._has_text and not (topics or else_said):
            topics += self._topics.bare(line, taken)
        return [Mention(start, end, "topic", "text", said, certainty=_TOPIC) for start, end, said in topics]

    def _ranges(self, line: Line, taken: list[bool], unknown: list[tuple[int, int]]) -> list[Mention]:
        """Years and numbers; their tokens are marked as `taken`."""
        mentions = []
        for bounds in bounds_said(line.line, self._numbers):
            start, end = line.first_token(bounds.start), line.token_after(bounds.end)
            taken[start:end] = [True] * (end - start)
            if not bounds.column:
                unknown.append((start, end))
                continue
            mentions.append(
                Mention(start, end, "number", bounds.column, (), bounds.op, bounds.low, bounds.high, bounds.certainty)
            )
        for span in spans_of_years(line.line, self._newest, self._oldest):
            start, end = line.first_token(span.start), line.token_after(span.end)
            if any(taken[start:end]) or not self._plausible(span):
                continue
            taken[start:end] = [True] * (end - start)
            if not self._year:
                unknown.append((start, end))
                continue
            mentions.append(
                Mention(
                    start, end, "year", self._year, (), span.op, span.low, span.high, span.certainty,
                    settled=span.settled,
                )
            )  # fmt: skip
        return mentions

    def _plausible(self, span: Span) -> bool:
        if not span.loose or self._oldest is None or self._newest is None:
            return not span.loose or self._newest is not None
        return self._oldest - _NEAR <= span.low <= self._newest + _NEAR // 2

    def _in_title(self, line: Line, taken: list[bool]) -> list[Mention]:
        """Words that the title is to have: "with 'love' in the title"."""
        mentions = []
        for match in _IN_TITLE.finditer(line.line):
            group = next(name for name in ("a", "b", "c") if match[name])
            start, end = line.first_token(match.start(group)), line.token_after(match.end(group))
            while start < end and line.tokens[start].mark:
                start += 1
            said = line.said(start, end).strip("\"'’‘“”").lower()
            if not said:
                continue
            first, last = line.first_token(match.start() + 1), line.token_after(match.end())
            taken[first:last] = [True] * (last - first)
            mentions.append(Mention(start, end, "title", "title", (said,), certainty=0.9))
        return mentions

    def _undecided(self, line: Line, taken: list[bool], title: list[bool], found: Found) -> list[tuple[int, int]]:
        """Conditions that the catalogue has no column or no value for."""
        spans = self._unknown.spans(line)
        spans += unheard_names(line, [a or b for a, b in zip(taken, title, strict=True)])
        for start, end, kind in found.foreign:
            if said_as_condition(line, start, end, kind):
                spans.append((start, end))
        free = [(start, end) for start, end in spans if not any(taken[start:end]) and not any(title[start:end])]
        return [span for span in free if not any(o != span and o[0] <= span[0] and span[1] <= o[1] for o in free)]

    def _earlier(self, columns: Iterable[str], before: Sequence[str]) -> list[Rule]:
        """Every rule on `columns` that earlier utterances said."""
        wanted = set(columns)
        if not wanted:
            return []
        heard = [self.extract(utterance) for utterance in before]
        return [found.rule for one in heard for found in (*one.rules, *one.wishes) if found.rule.column in wanted]
