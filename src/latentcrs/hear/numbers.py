"""Years, prices, ratings and other numbers in a sentence, with the bound that is said of them, and orders."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentcrs.data import ColumnKind
from latentcrs.data.roles import Role
from latentcrs.data.rules import Operator, Rule
from latentcrs.hear.language import Line, alternatives, patterns, phrases, plain, words

NEAR = 15
"""Years outside of the catalogue's own that a number may still mean."""
AROUND = 2
"""Years before and after one that "around" it means."""
_UNITS = {
    "price": re.compile(r"price|cost"), "rating": re.compile(r"rating|stars|score"),
    "length": re.compile(r"runtime|length|duration|minutes|pages|time"), "stock": re.compile(r"stock|availab"),
    "size": re.compile(r"size"), "popularity": re.compile(r"popularity"),
    "certificate": re.compile(r"$^"), "year": re.compile(r"year|date"),
}  # fmt: skip
_NUMBER = r"(?:[€$£] )?\d{1,12}(?:[.,]\d{1,12}){0,4}(?: [€$£])?"  # what is longer is no amount


@dataclass(frozen=True)
class NumberCondition:
    """A condition on a number, a year or a numbered value, said in tokens first..last (behind). assumed: the column
    was not named."""

    first: int
    last: int
    rule: Rule
    assumed: bool = False


def column_for(unit: str, columns: Mapping[str, ColumnKind], roles: Mapping[str, Role]) -> str:
    """The column that a unit or an order speaks of ("price", "rating", "length", "year"); "" where there is none."""
    if unit in ("price", "year"):
        found = next((column for column, role in roles.items() if role == unit), "")
        return found
    kinds = ("category",) if unit in ("size", "stock") else ("number",)
    return next((c for c, kind in columns.items() if kind in kinds and _UNITS[unit].search(c.lower())), "")


def amount(said: str) -> float:
    """The number in words as people write it: "1.299,00", "12,50", "1,299", "4.5"."""
    digits = re.sub(r"[^\d.,]", "", said).strip(".,")
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0 and (len(digits) - last - 1 != 3 or ("," in digits and "." in digits)):
        return float(re.sub(r"[.,]", "", digits[:last]) + "." + digits[last + 1 :])
    return float(re.sub(r"[.,]", "", digits))


class Numbers:
    """Hears numbers over one catalogue. low, high: its first and last year."""

    def __init__(
        self, columns: Mapping[str, ColumnKind], roles: Mapping[str, Role], numbered: Mapping[str, Mapping[str, str]],
        low: int | None, high: int | None,
    ) -> None:  # fmt: skip
        self.columns, self.roles, self.numbered, self.low, self.high = columns, roles, numbered, low, high
        self.year = column_for("year", columns, roles)
        self.of_popularity = {column_for("popularity", columns, roles)}
        self._patterns: dict[str, tuple[re.Pattern[str], re.Pattern[str]]] = {}

    def _compiled(self, language: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """One number with its bounds and unit, and two with a word between them."""
        if language not in self._patterns:
            before, behind, units = (phrases(language, section) for section in ("before", "behind", "units"))
            ops = "|".join(
                f"(?P<{name}>{alternatives(before[op])})"
                for name, op in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("ca", "around"))
            )
            after = f"(?P<ge2>{alternatives(behind['>='])})|(?P<le2>{alternatives(behind['<='])})"
            any_unit = alternatives([phrase for said in units.values() for phrase in said])
            spelt = {plain(word) for one in {language, "en"} for word in words(one)["numbers"]}
            decades = {plain(word) for one in {language, "en"} for word in words(one)["decades"]}
            number = rf"{_NUMBER}|(?:{alternatives(sorted(spelt))})(?= (?:{any_unit}) )"
            unit = "|".join(f"(?P<u_{name}>{alternatives(said)})" for name, said in units.items())
            decade = rf"\d{{1,3}}0s|{alternatives(sorted(decades))}"
            called = "|".join(alternatives(said) for said in phrases(language, "called").values())
            self._patterns[language] = (
                re.compile(
                    rf"(?<= )(?:(?P<called>{called}) )?(?:(?:{ops}) )?(?:the )?(?:(?P<part>early|mid|late) )?"
                    rf"(?:(?P<decade>{decade})|(?P<n>{number}))(?: (?:{unit}))?(?: (?:{after}))?(?= )"
                ),
                re.compile(
                    rf"(?<= )(?:(?:{alternatives(before['between'])}) )?(?:the )?(?P<a>{decade}|{_NUMBER})"
                    rf"(?: (?:{any_unit}))? "
                    rf"(?:{alternatives(behind['to'])}) (?:the )?(?P<b>{decade}|{_NUMBER})(?: (?:{unit}))?(?= )"
                ),
            )
        return self._patterns[language]

    def find(self, line: Line, language: str) -> list[NumberCondition]:
        """The conditions on numbers in `line`, in order."""
        one, two = self._compiled(language)
        found: list[NumberCondition] = []
        taken: set[int] = set()

        def add(first: int, last: int, rule: Rule | None, assumed: bool = False) -> None:
            if rule is not None and not taken & set(range(first, last)):
                taken.update(range(first, last))
                found.append(NumberCondition(first, last, rule, assumed))

        for match in two.finditer(line.line):
            add(*line.span(match), *self._range(match, language))
        for match in one.finditer(line.line):
            add(*line.span(match), *self._single(line, match, language))
        for first, last, rule in (*self._recent(line, language), *self._centuries(line, language)):
            add(first, last, rule)
        for name, pattern in patterns(language, "yes"):
            column = column_for(name, self.columns, self.roles)
            for match in pattern.finditer(line.line) if column else ():
                add(*line.span(match), Rule(column=column, op="is", value="yes"))
        return self._beside(sorted(found, key=lambda one: one.first), line)

    def _beside(self, found: list[NumberCondition], line: Line) -> list[NumberCondition]:
        """Spans of years right beside one another as one ("50s 60s", "80s/90s")."""
        joined: list[NumberCondition] = []
        for one in found:
            last = joined[-1] if joined else None
            between = [token.word for token in line.tokens[last.last : one.first]] if last else ["."]
            spans = last is not None and last.rule.op == one.rule.op == "between"
            if last and spans and last.rule.column == one.rule.column == self.year and between in ([], ["/"]):
                ends = [float(v) for v in np.ravel([last.rule.value, one.rule.value])]
                years = one.rule.model_copy(update={"value": [min(ends), max(ends)]})
                joined[-1] = NumberCondition(last.first, one.last, years)
            else:
                joined.append(one)
        return joined

    def _recent(self, line: Line, language: str) -> list[tuple[int, int, Rule]]:
        """The last so many years of the catalogue."""
        if not self.year or self.high is None:
            return []
        recent = phrases(language, "recent")
        names = {plain(k): v for one in {language, "en"} for k, v in words(one)["numbers"].items()}
        pattern = re.compile(
            rf"(?<= )(?:{alternatives(recent['last'])}) (?:(?P<n>\d{{1,2}}|{alternatives(list(names))}) )?"
            rf"(?:(?P<years>{alternatives(recent['years'])})|(?:{alternatives(recent['decades'])}))(?= )"
        )
        found = []
        for match in pattern.finditer(line.line):
            count = int(names.get(match["n"], 0) or match["n"]) if match["n"] else 1
            first = self.high - count * (1 if match["years"] else 10) + 1
            found.append((*line.span(match), Rule(column=self.year, op=">=", value=float(first))))
        return found

    def _centuries(self, line: Line, language: str) -> Iterator[tuple[int, int, Rule]]:
        """“This century”, "the 20th century" as years."""
        for name, pattern in patterns(language, "century") if self.year else ():
            for match in pattern.finditer(line.line):
                yield *line.span(match), Rule(column=self.year, op="between", value=[float(name), float(name) + 99])

    def _decade(self, said: str, language: str) -> int | None:
        names = {plain(k): v for one in {language, "en"} for k, v in words(one)["decades"].items()}
        if said in names:
            return int(names[said])
        digits = re.match(r"(\d+)s?$", said)
        if not digits or not said.endswith("s"):
            return None
        start = int(digits[1])
        if start < 100:
            return 1900 + start if start >= 20 else 2000 + start
        return start

    def _is_year(self, number: float) -> bool:
        known = self.low is not None and self.high is not None
        return bool(known and self.year and number == int(number) and self.low - NEAR <= number <= self.high + NEAR)  # type: ignore[operator]

    def _range(self, match: re.Match[str], language: str) -> tuple[Rule | None, bool]:
        a, b = match["a"], match["b"]
        decades = [self._decade(a, language), self._decade(b, language)]
        if decades[1] is not None and self.year:
            low = decades[0] if decades[0] is not None else amount(a) if re.search(r"\d", a) else None
            if low is None:
                return None, False
            return Rule(column=self.year, op="between", value=[float(low), float(decades[1] + 9)]), False
        if not (re.search(r"\d", a) and re.search(r"\d", b)) or decades[0] is not None:
            return None, False
        low, high = sorted((amount(a), amount(b)))
        unit = next((name[2:] for name, said in match.groupdict().items() if name.startswith("u_") and said), "")
        if re.search("[€$£]", match[0]):
            unit = "price"
        if not unit and self._is_year(low) and self._is_year(high):
            return Rule(column=self.year, op="between", value=[low, high]), False
        column = column_for(unit or "price", self.columns, self.roles)
        bare = not unit and not match[0].startswith(tuple(phrases(language, "before")["between"]))
        if not column or bare:
            return None, False
        return Rule(column=column, op="between", value=[low, high]), not unit

    def _single(self, line: Line, match: re.Match[str], language: str) -> tuple[Rule | None, bool]:
        op: Operator | None = next((op for name, op in _OPS if match[name]), None)
        if match["decade"]:
            return self._years_of(match, language, op), False
        said = match["n"]
        names = {plain(k): v for one in {language, "en"} for k, v in words(one)["numbers"].items()}
        number = float(names[said]) if said in names else amount(said)
        unit = next((name[2:] for name, text in match.groupdict().items() if name.startswith("u_") and text), "")
        unit = "price" if re.search("[€$£]", match[0]) else unit
        if not unit and match["called"]:
            unit = next(n for n, texts in phrases(language, "called").items() if match["called"] in texts)
            numbered = column_for(unit, self.columns, self.roles) if unit == "size" else ""
            key = f"{number:g}"
            if numbered and key in self.numbered.get(numbered, {}):
                return Rule(column=numbered, op="is", value=self.numbered[numbered][key]), False
        first, _ = line.span(match)
        around = line.text[line.tokens[first].start - 1 : line.tokens[first].start]
        if not unit and self._is_year(number):
            if around in ("(", "["):  # behind a title
                return None, False
            return self._year_rule(line, match, op, number), False
        column = column_for(unit or "price", self.columns, self.roles)
        if not column or (op is None and unit in ("", "certificate")) or (op is None and unit == "price"):
            return None, False
        if match["ca"]:
            return Rule(column=column, op="between", value=[number * 0.8, number * 1.2]), not unit
        return Rule(column=column, op=op or ">=" if unit == "rating" else op or "<=", value=number), not unit

    def _years_of(self, match: re.Match[str], language: str, op: Operator | None) -> Rule | None:
        start = self._decade(match["decade"], language)
        if start is None or not self.year:
            return None
        low, high = start, start + 9
        if match["part"]:
            low, high = {"early": (start, start + 3), "mid": (start + 4, start + 6), "late": (start + 7, start + 9)}[
                match["part"]
            ]
        if op in ("<", ">="):
            return Rule(column=self.year, op=op, value=float(low))
        if op in (">", "<="):
            return Rule(column=self.year, op=op, value=float(high))
        return Rule(column=self.year, op="between", value=[float(low), float(high)])

    def _year_rule(self, line: Line, match: re.Match[str], op: Operator | None, number: float) -> Rule:
        if op == "between":
            return Rule(column=self.year, op=op, value=[number - AROUND, number + AROUND])
        if op is not None:
            return Rule(column=self.year, op=op, value=number)
        return Rule(column=self.year, op="is", value=number)

    def untold(self, line: Line, language: str) -> list[tuple[int, int]]:
        """Numbers with a unit, and orders, of which no column tells: (first token, behind the last)."""
        one, _ = self._compiled(language)
        found = []
        for match in one.finditer(line.line):
            units = [name[2:] for name, said in match.groupdict().items() if name.startswith("u_") and said]
            if units and not column_for(units[0], self.columns, self.roles):
                found.append(line.span(match))
        for name, pattern in (*patterns(language, "orders"), *patterns(language, "comparisons")):
            if not column_for(name.split()[0], self.columns, self.roles):
                found += [line.span(match) for match in pattern.finditer(line.line)]
        return found

    def comparisons(self, line: Line, language: str) -> list[tuple[int, int, str, str]]:
        """Comparisons with what is listed: (first token, behind the last, column, "<" or ">")."""
        found = []
        for name, pattern in patterns(language, "comparisons"):
            unit, op = name.split()
            if column := column_for(unit, self.columns, self.roles):
                found += [(*line.span(match), column, op) for match in pattern.finditer(line.line)]
        return found

    def orders(self, line: Line, language: str) -> list[tuple[int, int, str, bool]]:
        """Orders that are asked for: (first token, behind the last, column, descending)."""
        found = []
        for name, pattern in patterns(language, "orders"):
            unit, direction = name.split()
            column = column_for(unit, self.columns, self.roles)
            for match in pattern.finditer(line.line) if column else ():
                found.append((*line.span(match), column, direction == "descending"))
        return found


_OPS: Sequence[tuple[str, Operator]] = (
    ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("ge2", ">="), ("le2", "<="), ("ca", "between"),
)  # fmt: skip
