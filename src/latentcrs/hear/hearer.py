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
from latentcrs.data.rules import Rule
from latentcrs.hear.assembly import HARD_NOT, ValueMention, assembled
from latentcrs.hear.gazetteer import PEOPLE, Gazetteer
from latentcrs.hear.heads import Floats, Head, Read, StateEncoder, load_heads, mention_features, utterance_features
from latentcrs.hear.language import Line, denials, key_of, language_of, patterns, phrases, stem, word_set, words
from latentcrs.hear.numbers import Numbers
from latentcrs.hear.reading import Act, Context, HeardTitle, Reading, Sort, Stance
from latentcrs.llm import Call
from latentcrs.recommend.titles import TitleFinder

LONGEST = 2000
"""Characters of an utterance that are read: its beginning and its end."""
HARD = 0.6
"""A rule filters from this probability on that it is asked for, else it is a wish. Read off the calibration of the
heads on real people's messages that they were not trained on (`latentcrs_lab.hear.train`)."""
SOFT = 0.5
"""A wish: from this probability on that it is asked for or liked."""
DENIED = 0.06
"""Where a word that denies stands near, wanting is not believed if refusing is this likely."""
ACT, SURE, TURN = 0.18, 0.4, 0.6
"""From which probability on an act is heard at all, is acted upon, and a turn is one to something new."""
INSISTING = 4
NEAR = 3
"""Words between one that denies and what it denies."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
ENCODERS_LANGUAGES = frozenset({"en"})


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
        return made

    def warm(self) -> None:
        """Build and load everything now: what a first utterance would wait for."""
        self.read("hello")

    def refused(self, text: str) -> list[int]:
        """The items, by row, that `text` names without liking them."""
        return [title.number for title in self.read(text).titles if title.stance in ("disliked", "rejected", "seen")]

    def extract(self, utterance: str, before: Sequence[str] = (), call: Call | None = None) -> Reading:
        """See `Extractor.extract`."""
        return self.read(utterance, Context(before=tuple(before)))

    def read(self, utterance: str, context: Context | None = None) -> Reading:
        """What `utterance` says in `context`."""
        context = context or Context()
        text = utterance if len(utterance) <= LONGEST else f"{utterance[: LONGEST // 2]} {utterance[-LONGEST // 2 :]}"
        if not any(c.isalnum() for c in text):
            return Reading(acts=("other",))
        read, sentences, reply = self._read(text, context.reply[-300:])
        line, language = read.line, language_of(text)
        half = language not in ENCODERS_LANGUAGES
        taken = [False] * len(line.tokens)
        titles = self._titles(read, taken, language)
        titles += self._pointed(read, context, taken, language) if context.listed else []
        spoken = self.spoken(line, language, taken)
        for one in spoken:
            asked = bool(context.asked) and any(rule.column == context.asked for rule in one.rules)
            self._judge(one, read, language, half, asked)
            if one.stance == "refused":  # of nobody's work, whatever it was
                one.rules = [rule for each in one.rules for rule in self._everywhere(each, line, language)]
        sort = self._sort(line, language, taken, bool(context.listed))
        for one in spoken:
            taken[one.first : one.last] = [True] * (one.last - one.first)
        acts, sure = self._acts([read, *sentences], reply)
        asks = bool({"request", "more"} & set(acts))
        said = {rule.column for one in spoken for rule in one.rules}
        compared = self._comparisons(line, language, taken, context, asks)
        spoken += [one for one in compared if one.rules[0].column not in said]
        rules, wishes, dropped = assembled(line, spoken, language, half)
        if half:
            acts = tuple(dict.fromkeys(["request", *acts]))
        untold = self._untold(line, taken, language)
        needs, denied = self._needs(line, taken, language)
        continues = "continues"
        if context.asking and self._turns(read, acts):
            continues = "turns"
        elif rules and not any(t.word in word_set(language, "also") for t in line.tokens[:2]):
            continues = "corrects"
        return Reading(
            rules=rules,
            wishes=wishes,
            dropped=dropped,
            unknown=(*untold, *denied),
            denied=denied,
            titles=tuple(titles),
            acts=acts,
            sure=sure,
            continues=continues,
            needs=needs,
            sort=sort,
            about=self._about(line, language, taken) if {"question", "accept"} & set(acts) else "",
            language=language if half else "",
            notes=self._notes(spoken, line, language if half else ""),
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
        for mention in self.finder.find(read.line.text):
            inside = [n for n, t in enumerate(read.line.tokens) if mention.start <= t.start and t.end <= mention.end]
            if not inside or any(taken[n] for n in inside):
                continue
            for n in inside:
                taken[n] = True
            stance, p = self._stance(read, inside[0], inside[-1] + 1, language)
            words_near = [token.word for token in read.line.tokens[max(0, inside[0] - 4) : inside[-1] + 5]]
            before = read.line.tokens[inside[0] - 1].word if inside[0] else ""
            known = before in word_set(language, "seen") or (ended == inside[0] - 1 and before == "and")
            known = known and not any(denials(words_near, language))
            if stance in ("liked", "accepted") and known and not word_set(language, "like") & set(words_near):
                stance = "seen"
            ended = inside[-1] + 1 if stance == "seen" else ended
            said = read.line.text[mention.start : mention.end]
            certainty = round(p * mention.certainty, 3)
            number = next((number for number in mention.numbers if number < len(self.items)), None)
            if number is not None:  # else it is known, and not of this catalogue
                found.append(HeardTitle(number=number, stance=stance, words=said, certainty=certainty))
        return found

    def _stance(self, read: Read, first: int, last: int, language: str) -> tuple[Stance, float]:
        p = self.heads["title"](mention_features(read, first, last, language))
        best = max(p, key=lambda name: p[name])
        return best, p[best]  # type: ignore[return-value]

    def _pointed(self, read: Read, context: Context, taken: list[bool], language: str) -> list[HeardTitle]:
        """Items of the last list that are pointed at: "the second one", "both", "it"."""
        line = read.line
        pointing: dict[str, Any] = {name: pattern for name, pattern in patterns(language, "pointing")}
        found: dict[int, HeardTitle] = {}

        def point(first: int, last: int, places: Sequence[int]) -> None:
            if any(taken[first:last]):
                return
            stance, p = self._stance(read, first, last, language)
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
        if not found:
            for match in pointing["it"].finditer(line.line):
                point(*line.span(match), [context.it])
        return list(found.values())

    def spoken(self, line: Line, language: str, taken: Sequence[bool]) -> list[ValueMention]:
        """The values and numbers that a line speaks of, outside of the words `taken`; their stance is not judged."""
        spoken: list[ValueMention] = []
        covered = list(taken)
        for one in self.numbers.find(line, language):
            if not any(covered[one.first : one.last]):
                covered[one.first : one.last] = [True] * (one.last - one.first)
                certain = 0.7 if one.assumed else 0.95
                spoken.append(ValueMention(one.first, one.last, [one.rule], False, certain, assumed=one.assumed))
        for mention in self.gazetteer.find(line, language, covered):
            rules = [Rule(column=v.column, op="has any", value=[v.value]) for v in mention.values]
            certain = {"value": 1.0, "synonym": 0.9, "slip": 0.8, "surname": 0.7}[mention.values[0].how]
            spoken.append(ValueMention(mention.first, mention.last, rules, mention.values[0].opposite, certain))
        for first, last, subject in (
            self._subjects(line, language, covered, spoken) if "text" in self.items.columns else ()
        ):
            spoken.append(ValueMention(first, last, [Rule(column="text", op="contains", value=subject)], False, 0.5))
        spoken += self._columns(line, language, covered, spoken)
        return sorted(spoken, key=lambda one: one.first)

    def _comparisons(
        self, line: Line, language: str, taken: list[bool], context: Context, asks: bool
    ) -> list[ValueMention]:
        """What is to be newer or cheaper than most of the last list, as a wish: how much newer, nobody has said."""
        found = list[ValueMention]()
        compared = self.numbers.comparisons(line, language) if context.listed else []
        if not compared:
            return found
        idle = word_set(language, "talk") | word_set(language, "function")
        pointing = {word for said in phrases(language, "pointing").values() for one in said for word in one.split()}
        for first, last, column, op in compared:
            behind, after = ([*(token.word for token in line.tokens[last : last + 2]), ".", "."])[:2]
            is_meant = after in pointing if behind == "than" else asks and (behind in idle or not behind.isalnum())
            middle = self.items[column].gather(list(context.listed)).cast(pl.Float64).median()
            if middle is not None and is_meant and not any(taken[first:last]):
                taken[first:last] = [True] * (last - first)
                rule = Rule(column=column, op=op, value=float(middle))  # type: ignore[arg-type]
                found.append(ValueMention(first, last, [rule], False, 0.9, stance="wish"))
        return found

    def _columns(
        self, line: Line, language: str, covered: Sequence[bool], spoken: Sequence[ValueMention]
    ) -> Iterator[ValueMention]:
        """Columns by their names, as all that they may say: what is taken back where "the year" is."""
        for name, pattern in patterns(language, "column"):
            for column in (column for column, role in self.gazetteer.roles.items() if role == name):
                for match in pattern.finditer(line.line):
                    first, last = line.span(match)
                    if not any(covered[first:last]) and not any(o.first < last and first < o.last for o in spoken):
                        yield ValueMention(first, last, [self._anything(column)], False, 1.0, whole=True)

    def _everywhere(self, rule: Rule, line: Line, language: str) -> list[Rule]:
        """A rule on a person, for each column that has them, unless one is spoken of ("not directed by")."""
        role, spoken_of = self.gazetteer.roles.get(rule.column, ""), dict(patterns(language, "people"))
        named = role in spoken_of and spoken_of[role].search(line.line)
        if role not in PEOPLE or named or not isinstance(rule.value, list):
            return [rule]
        known = [v for name in rule.value for v in self.gazetteer.names[key_of(str(name))]]
        columns = {rule.column: 0} | {v.column: 0 for v in known if v.role in ("director", "actor")}
        return [rule.model_copy(update={"column": column}) for column in columns]

    def _anything(self, column: str) -> Rule:
        """The rule that every item with something in a column passes."""
        said = self.items[column].explode() if isinstance(self.items.schema[column], pl.List) else self.items[column]
        if self.columns[column] in ("year", "number"):
            return Rule(column=column, op="between", value=[float(said.min() or 0), float(said.max() or 0)])  # type: ignore[arg-type]
        return Rule(column=column, op="has any", value=said.drop_nulls().cast(pl.String).unique().to_list())

    def _subjects(
        self, line: Line, language: str, covered: Sequence[bool], spoken: Sequence[ValueMention]
    ) -> list[tuple[int, int, str]]:
        """What the plot is to be about, where a language has such words."""
        taken = [c or any(one.first <= n < one.last for one in spoken) for n, c in enumerate(covered)]
        each = {key_of(subject): subject for group in words("en").get("subject", ()) for subject in group["each"]}
        found = []
        for first in range(len(line.tokens)) if language == "en" else ():
            for last in (first + 2, first + 1):
                if last <= len(line.tokens) and not any(taken[first:last]):
                    subject = each.get("".join(stem(t.word) for t in line.tokens[first:last]))
                    if subject and not self.gazetteer.is_part_of_a_name(line, first, last):
                        found.append((first, last, subject))
                        break
        return found

    def _judge(self, one: ValueMention, read: Read, language: str, half: bool, asked: bool = False) -> None:
        """How a mention is meant. In a language that the encoder does not know, by the words that deny alone.
        `asked`: it answers a question.
        """
        tokens = read.line.tokens
        deny, dislike = word_set(language, "deny"), word_set(language, "dislike")
        near = [t.word for t in tokens[max(0, one.first - 6) : one.first]]
        # "no horror, ideally a comedy" denies no comedy, nor does "hated horror but loves comedies".
        ends = set(".!?;") | word_set(language, "hedge") | word_set(language, "contrast")
        no = denials(near, language)
        begins = max((n + 1 for n, word in enumerate(near) if word in ends and not no[n]), default=0)
        near, no = near[begins:], no[begins:]
        behind = [t.word for t in tokens[one.last : one.last + 2]]
        denied = any(no) or (behind[:1] in (["?"], [","]) and behind[-1] in deny)
        if half and one.whole:
            return
        if half:
            one.stance, one.p = ("refused" if denied else "wish"), 0.5
            return
        p = self.heads["stance"](mention_features(read, one.first, one.last, language))
        wanted = p["rule"] + p["wish"]
        insists, alone = insisted(read.line, one.first, one.last, language)
        if alone or (insists and not denied and p["mentioned"] > 0.5):
            one.stance, one.p = "rule", self.hard
        elif denied and p["refused"] + p["dropped"] > DENIED and wanted > 0.5:
            # A word denies and the head is not sure. Right in front ("no horror") it is believed; else neither is.
            right = next((word for word in reversed(near) if word not in ("a", "an", "any", "the", "from")), "")
            refuses = right in word_set(language, "refuse") or right in dislike or stem(right) in dislike
            one.stance, one.p = ("refused", HARD_NOT) if refuses else ("mentioned", 1 - p["refused"])
        elif wanted >= SOFT:
            hard = p["rule"] >= self.hard or (insists and not denied)
            one.stance, one.p = ("rule", max(p["rule"], self.hard)) if hard else ("wish", wanted)
        else:
            others = ("refused", "dropped", "mentioned")
            one.stance = max(others, key=lambda name: p[name])
            one.p = p[one.stance]
            if one.stance == "refused" and not denied:
                one.stance = "mentioned"
        if asked and not denied and one.stance in ("mentioned", "wish"):
            one.stance, one.p = "rule", self.hard
        if one.whole and one.stance != "dropped":
            one.stance = "mentioned"
        one.insisted = insists and one.stance in ("rule", "refused")

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

    def _turns(self, read: Read, acts: Sequence[Act]) -> bool:
        compares = any(t.word in ("more", "less") or t.word.endswith("ier") for t in read.line.tokens)
        if not {"request", "more"} & set(acts) or acts[0] == "reject" or compares:
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

    def _about(self, line: Line, language: str, taken: Sequence[bool]) -> str:
        for name, pattern in patterns(language, "asked"):
            spans = [line.span(match) for match in pattern.finditer(line.line)]
            if any(not all(taken[first:last]) for first, last in spans):
                return name
        return ""

    def _untold(self, line: Line, taken: list[bool], language: str) -> tuple[str, ...]:
        """Numbers and orders of what no column says ("under 100 minutes"); their words are then taken."""
        found = []
        for first, last in self.numbers.untold(line, language):
            if not any(taken[first:last]):
                taken[first:last] = [True] * (last - first)
                found.append(line.said(first, last))
        return tuple(found)

    def _needs(self, line: Line, taken: Sequence[bool], language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Runs of words that tell something and are neither a value nor a title: what is wanted; and what is not,
        from the word that denies it on ("not too violent", "no gore and violence").
        """
        said = [token.word for token in line.tokens]
        negate = word_set(language, "refuse") | word_set(language, "dislike") | word_set(language, "negate")
        unsure = [word in word_set(language, "unsure") for word in said]
        denies = [
            (word in negate or stem(word) in negate) and not any(unsure[n + 1 : n + 3]) for n, word in enumerate(said)
        ]
        idle = word_set(language, "talk") | word_set(language, "function") | word_set("en", "talk")
        idle |= word_set(language, "deny")
        ends = set(",.;:!?") | word_set(language, "contrast")
        links = {"and"} | word_set(language, "also") | word_set(language, "either")

        def telling(place: int) -> bool:
            if place >= len(said) or taken[place] or denies[place] or not said[place].isalpha():
                return False
            hyphen = "-" in said[max(place - 1, 0) : place] + said[place + 1 : place + 2]
            return hyphen or (len(said[place]) > 2 and said[place] not in idle)

        needs, unwanted, run, denied, near = list[str](), dict[int, str](), list[int](), -1, 0
        for place, word in enumerate([*said, "."]):
            if telling(place) or (word == "-" and run and run[-1] == place - 1):
                run.append(place)
                continue
            if run and denied < 0:
                needs.append(line.said(run[0], run[-1] + 1).strip("- "))
            elif run:
                unwanted[denied] = line.said(denied, run[-1] + 1).strip("- ")
            near = NEAR if run or taken[place : place + 1] == [True] else near - 1
            goes_on = telling(place + 1) and word in links
            if place < len(said) and denies[place]:
                denied, near = place, NEAR
            elif not goes_on and (run or word in ends or near < 0):
                denied = -1
            run = []
        return tuple(dict.fromkeys(needs)), tuple(unwanted.values())

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


def insisted(line: Line, first: int, last: int, language: str) -> tuple[bool, bool]:
    """Whether the words first..last (behind) are said to have to be so ("must"), and as the only thing ("nothing
    but"): in their clause, up to `INSISTING` words in front and not denied, or right behind.
    """
    found = [False, False]
    for name, pattern in patterns(language, "insist"):
        for match in pattern.finditer(line.line):
            start, end = line.span(match)
            between = {token.word for token in line.tokens[end:first]}
            denied = start > 0 and line.tokens[start - 1].word in word_set(language, "deny")
            if not denied and (start == last or (0 <= first - end <= INSISTING and not between & set(".,;!?"))):
                found[name == "alone"] = True
    return any(found), found[1]
