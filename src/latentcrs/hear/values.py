"""Which values and numbers of the catalogue an utterance speaks of; how they are meant is judged elsewhere."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from latentcrs.base.words import place_by_use
from latentcrs.data import ColumnKind
from latentcrs.data.rules import Rule
from latentcrs.hear.assembly import ValueMention
from latentcrs.hear.gazetteer import PEOPLE, SURNAME, Gazetteer
from latentcrs.hear.language import Line, alternatives, key_of, patterns, phrases, stem, tokenise, word_set, words
from latentcrs.hear.numbers import Numbers
from latentcrs.hear.reading import Context, HeardTitle

KNOWN = 0.9
"""The share of the catalogue that is known less than what is well known."""
CHILD = 12
"""The age up to which somebody watches, reads and plays what is for children."""


class ValueFinder:
    """Finds the values of one catalogue in what is said."""

    def __init__(
        self, items: pl.DataFrame, columns: Mapping[str, ColumnKind], gazetteer: Gazetteer, numbers: Numbers
    ) -> None:
        self.items, self.columns, self.gazetteer, self.numbers = items, columns, gazetteer, numbers

    def find(
        self,
        line: Line,
        language: str,
        taken: Sequence[bool],
        context: Context | None = None,
        named: Sequence[HeardTitle] = (),
    ) -> list[ValueMention]:
        """The values and numbers that a line speaks of, outside of the words `taken`, which are those of the titles
        `named`, too; their stance is not judged.
        """
        context, spoken, covered = context or Context(), list[ValueMention](), list(taken)

        def take(one: ValueMention) -> None:
            if not any(covered[one.first : one.last]):
                covered[one.first : one.last] = [True] * (one.last - one.first)
                spoken.append(one)

        for age in self._ages(line, language):
            take(age)
        for one in self.numbers.find(line, language):
            take(ValueMention(one.first, one.last, [one.rule], False, 0.7 if one.assumed else 0.95, one.assumed))
        for siblings in self._siblings(line, language):
            take(siblings)
        for mention in self.gazetteer.find(line, language, covered, self._spoken_of(line, context)):
            rules = [Rule(column=v.column, op="has any", value=[v.value]) for v in mention.values]
            certain = {"value": 1.0, "synonym": 0.9, "slip": 0.8, "surname": 0.7}[mention.values[0].how]
            spoken.append(ValueMention(mention.first, mention.last, rules, mention.values[0].opposite, certain))
        for first, last, subject in (
            self._subjects(line, language, covered, spoken) if "text" in self.items.columns else ()
        ):
            spoken.append(ValueMention(first, last, [Rule(column="text", op="contains", value=subject)], False, 0.5))
        spoken += self._of_titles(line, language, named)
        spoken += self._pointed(line, language, context, covered, spoken)
        spoken += self._columns(line, language, covered, spoken)
        return sorted(spoken, key=lambda one: one.first)

    def _ages(self, line: Line, language: str) -> Iterator[ValueMention]:
        """How old a child is that it is for, as what is for children."""
        values, age = self.gazetteer.phrases(language).get("kid", ()), phrases(language, "age")
        pattern = rf"(?<= )(\d{{1,2}}) (?:- )?(?:{alternatives(age['said'])})(?= )"
        if re.search(rf" (?:{alternatives(age['child'])}) ", line.line):  # "my daughter is 5"
            pattern += rf"|(?<= )(?:{alternatives(age['is'])}) (?P<is>\d{{1,2}})(?= )"
        for match in re.finditer(pattern, line.line) if values else ():
            if int(match[1] or match["is"]) <= CHILD:
                rules = [Rule(column=v.column, op="has any", value=[v.value]) for v in values]
                yield ValueMention(*line.span(match), rules, False, 0.7, wished=True)

    def _siblings(self, line: Line, language: str) -> Iterator[ValueMention]:
        """Those of one name: "the Coen brothers"; not "my little brothers"."""
        for first, (token, behind) in enumerate(pairwise(line.tokens)):
            if behind.word not in word_set(language, "siblings") or place_by_use(token.word) <= SURNAME:
                continue
            named: dict[str, list[str]] = {}
            for value in self.gazetteer.namesakes.get(token.word, ()):
                named.setdefault(value.column, []).append(value.value)
            several = {column: list(dict.fromkeys(names)) for column, names in named.items() if len(set(names)) > 1}
            column = max(several, key=lambda one: self.gazetteer.roles[one] == "director", default="")
            if column:
                rule = Rule(column=column, op="has any", value=several[column])
                yield ValueMention(first, first + 2, [rule], False, 0.8)

    def _spoken_of(self, line: Line, context: Context) -> Sequence[str]:
        """The values in force, then those of the items of the last list: whom a surname means before anybody else."""
        if not any(len(self.gazetteer.namesakes.get(token.word, ())) > 1 for token in line.tokens):
            return ()
        found = [str(value) for rule in context.rules for value in np.ravel(rule.value)]
        for column in (column for column, role in self.gazetteer.roles.items() if role in PEOPLE):
            found += self._of(column, context.listed)
        return found

    def _of(self, column: str, rows: Sequence[int]) -> list[str]:
        """The values of a category column of some items."""
        said = self.items[column].gather(list(rows))
        said = said.explode() if isinstance(said.dtype, pl.List) else said
        return said.drop_nulls().cast(pl.String).unique(maintain_order=True).to_list()

    def _of_titles(self, line: Line, language: str, named: Sequence[HeardTitle]) -> Iterator[ValueMention]:
        """The values of what is named: "the director of Alien"."""
        for title in named if language == "en" else ():
            words_of = " ".join(token.word for token in tokenise(title.words).tokens)
            for role, called in patterns(language, "column"):
                column = next((column for column, its in self.gazetteer.roles.items() if its == role), "")
                found = re.search(rf"{called.pattern} of {re.escape(words_of)}(?= )", line.line)
                values = (
                    self._of(column, [title.number]) if found and column and title.number < len(self.items) else ()
                )
                if found and values and self.columns[column] in ("category", "multi-category"):
                    rule = Rule(column=column, op="has any", value=list(values))
                    yield ValueMention(line.span(found)[0], line.span(found)[0] + 1, [rule], False, 0.9, pointed=True)

    def _pointed(
        self, line: Line, language: str, context: Context, covered: Sequence[bool], spoken: Sequence[ValueMention]
    ) -> Iterator[ValueMention]:
        """Values that are pointed at: "the same director", "more by him" after an answer that named somebody; "both"
        of the two that one rule would have either of.
        """
        said, place = [token.word for token in line.tokens], context.listed[context.it : context.it + 1]
        same, persons = word_set(language, "same"), dict(patterns(language, "pointing"))["person"]
        called = dict(patterns(language, "column"))
        for column, role in self.gazetteer.roles.items() if place else ():
            if self.columns[column] not in ("category", "multi-category"):
                continue
            spans = [line.span(match) for match in called[role].finditer(line.line)] if role in called else []
            spans = [(first - 1, last) for first, last in spans if first and said[first - 1] in same]
            if context.told == role and role in PEOPLE:
                spans += [line.span(match) for match in persons.finditer(line.line)]
            spans = [(first, last) for first, last in spans if not any(covered[first:last])]
            if spans and (values := self._of(column, place)):
                rule = Rule(column=column, op="has any", value=values)
                yield from (ValueMention(first, last, [rule], False, 0.9, pointed=True) for first, last in spans)
        either = next((rule for rule in reversed(context.rules) if rule.op == "has any"), None)
        idle = word_set(language, "talk") | word_set(language, "function") | {",", ".", "!"}
        if either is None or spoken or "both" not in said or not idle.issuperset(said):
            return
        if len(np.ravel(either.value)) == 2 and self.columns.get(either.column) == "multi-category":
            both, first = either.model_copy(update={"op": "has all"}), said.index("both")
            yield ValueMention(first, first + 1, [both], False, 0.9, pointed=True)

    def comparisons(
        self, line: Line, language: str, taken: list[bool], context: Context, asks: bool
    ) -> list[ValueMention]:
        """What is to be newer or cheaper than most of the last list, as a wish: how much newer, nobody has said.
        Where nothing is listed yet, what is known to few, or to many, is so beside the catalogue.
        """
        found = list[ValueMention]()
        compared = self.numbers.comparisons(line, language)
        compared = [one for one in compared if context.listed or one[2] in self.numbers.of_popularity]
        if not compared:
            return found
        idle = word_set(language, "talk") | word_set(language, "function")
        pointing = {word for said in phrases(language, "pointing").values() for one in said for word in one.split()}
        for first, last, column, op in compared:
            behind, after = ([*(token.word for token in line.tokens[last : last + 2]), ".", "."])[:2]
            asks = asks or line.tokens[first].word in word_set("en", "excess") or column in self.numbers.of_popularity
            ends = behind in idle or not behind.isalnum() or any(taken[last : last + 1])
            is_meant = after in pointing if behind == "than" else asks and ends
            values = self.items[column].cast(pl.Float64)
            middle = values.gather(list(context.listed)).median() if context.listed else values.quantile(KNOWN)
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

    def everywhere(self, rule: Rule, line: Line, language: str) -> list[Rule]:
        """A rule on a person, for each column that has them, unless one is spoken of ("not directed by")."""
        role, spoken_of = self.gazetteer.roles.get(rule.column, ""), dict(patterns(language, "people"))
        named = role in spoken_of and spoken_of[role].search(line.line)
        if role not in PEOPLE or named or not isinstance(rule.value, list):
            return [rule]
        known = [v for name in rule.value for v in self.gazetteer.names[key_of(str(name))]]
        columns = {rule.column: 0} | {v.column: 0 for v in known if v.role in ("director", "actor")}
        return [rule.model_copy(update={"column": column}) for column in columns]

    def in_another_role(self, line: Line, language: str, context: Context) -> list[ValueMention]:
        """The person asked for last, as what the line says they are ("no, as director"), and no longer as what they
        were; nothing where the line says more than that.
        """
        roles = self.gazetteer.roles
        asked = (rule for rule in reversed(context.rules) if roles.get(rule.column) in PEOPLE and rule.op != "not")
        last, idle = next(asked, None), word_set(language, "talk") | word_set(language, "function") | set(",.!")
        for name, pattern in patterns(language, "people") if last else ():
            match = pattern.search(line.line)
            if match is None or last is None or roles[last.column] == name:
                continue
            first, end = line.span(match)
            if not idle.issuperset(t.word for n, t in enumerate(line.tokens) if not first <= n < end):
                continue
            known = [v for said in np.ravel(last.value) for v in self.gazetteer.names.get(key_of(str(said)), ())]
            meant = next((v for v in known if v.role == name), None)
            if meant is not None:
                rule = last.model_copy(update={"column": meant.column})
                return [
                    ValueMention(first, end, [last], False, 1.0, stance="dropped"),
                    ValueMention(first, end, [rule], False, 1.0, stance="rule"),
                ]
        return []

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
