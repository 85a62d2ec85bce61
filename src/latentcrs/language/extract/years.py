"""Years, decades and spans of years in a line of normalised words, in every form they are said in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Bound = Literal["between", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Span:
    """Years that were said at `start`..`end` of a line. `settled`: a "no" in front of it is counted in ("nothing
    older than 1990"). `loose`: a bare number, with nothing that makes it a year.
    """

    start: int
    end: int
    op: Bound
    low: int
    high: int
    settled: bool = False
    loose: bool = False
    certainty: float = 1.0


_NAMED = {"twenties": 1920, "thirties": 1930, "forties": 1940, "fourties": 1940, "fifties": 1950, "sixties": 1960}
_NAMED |= {
    "seventies": 1970,
    "eighties": 1980,
    "nineties": 1990,
    "noughties": 2000,
    "aughts": 2000,
    "naughties": 2000,
}
_NUMBERS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_NUMBERS |= {"fifteen": 15, "twenty": 20, "thirty": 30, "couple of": 2, "few": 3, "a": 1, "": 1}
_PARTS = {"early": (0, 3), "mid": (4, 6), "middle": (4, 6), "late": (7, 9)}
_PARTS |= {"early to mid": (0, 6), "mid to late": (4, 9), "early and mid": (0, 6), "mid and late": (4, 9)}
_PART = r"(?:early (?:to|and) mid|mid (?:to|and) late|early|mid|middle|late)"
_ATOM = re.compile(
    rf"(?<= )(?:(?P<part>{_PART}) (?:of )?(?:the )?)?"
    r"(?:(?P<decade>(?:1\d|20)\d0s|'?\d0s|" + "|".join(_NAMED) + r")(?P<rough>ish)?"
    r"|(?P<year>1[0-9]\d\d|20\d\d)(?P<ish>ish)?(?: (?:-|to) '?(?P<upto>\d\d)(?= ))?|'(?P<short>\d\d))(?= )"
)
_RELATIVE = re.compile(
    r" (?:in|within|from|over|of|during)?(?: the)? ?(?:last|past|previous) (?P<count>\d{1,2}|couple of|few|"
    r"[a-z]+|) ?(?P<unit>years|year|decades|decade)(?= )"
)
_CENTURY = re.compile(r"(?<= )(?:(?P<number>1[5-9]|20|21)(?:th|st) century|this (?P<this>century|millennium))(?= )")
_TO = re.compile(r"^ (?:-|to|through|thru|till|until|up to|and up to)(?: the)? $")
_AND = re.compile(
    r"^ (?:(?:and|or|,|/|, or|, and|and or|or maybe|or even|or perhaps)(?: either)?(?: from| in)?(?: the)?) $"
)
_MADE = (
    r"(?:(?:made|released|from|is|are|was|were|be|that|which|out|came|comes|come|produced|shot|published|much|any|too|"
    r"year|years|the|in) )*"
)
_NO = r"(?:no|not|nothing|none|never|isnt|arent|wasnt|nor|dont want anything|dont want any|dont want) (?:\w+ )?"
_OLDER = r"(?:before|pre|prior to|older than|earlier than|predating|predates|preceding)"
_NEWER = r"(?:after|post|newer than|later than|more recent than|younger than|past|beyond|following)"
_BEFORE: tuple[tuple[re.Pattern[str], str, bool], ...] = tuple(
    (re.compile(rf" {pattern}(?: the)?(?: year)? $"), op, settled)
    for pattern, op, settled in (
        (rf"{_NO}{_MADE}{_OLDER}", ">=", True),
        (rf"{_NO}{_MADE}{_NEWER}", "<=", True),
        (_OLDER, "<", False),
        (_NEWER, ">", False),
        (r"(?:since|starting (?:in|from|with)|at least|at least from|> =|from at least)", ">=", False),
        (r"(?:until|till|up to|up until|at most|at the latest|no later than|< =|through)", "<=", False),
        (r"<", "<", False),
        (r">", ">", False),
        (r"(?:around|circa|ca|about|roughly|approximately|near|close to|say|abt|approx)", "around", False),
    )
)
_BEHIND: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), op)
    for pattern, op in (
        (r"^ (?:(?:and|or) (?:later|newer|onwards?|after|up|on|beyond|above|(?:more )?recent|younger)|onwards?|"
         r"forward|\+up|to (?:now|today|the present|present))(?= )", ">="),
        (r"^ (?:and|or) (?:earlier|older|before|below|prior)(?= )", "<="),
        (r"^ at the latest(?= )", "<="),
        (r"^ (?:or so|or thereabouts|give or take)(?= )", "around"),
    )
)  # fmt: skip
_ON = re.compile(r"^ (?:on|up)(?= (?:$|[.,]|please|with|and|by|starring|but))")
_SAID_AS_YEAR = re.compile(
    r" (?:from|in|of|year|made|released|came out|since|between|circa|until|till|before|after|and|or|to|pre|"
    r"post|the) $"
)
_UNIT = re.compile(
    r"^ (?:dollars?|bucks?|euros?|pounds?|points?|people|players?|pages?|minutes?|hours?|songs?|users?|%)(?= )"
)


def spans_of_years(line: str, newest: int | None, oldest: int | None) -> list[Span]:
    """Every span of years said in `line`, in order.

    `newest` and `oldest` are the first and last year of the catalogue, if it has years: "the last ten years" end with
    it, and "20s" are those that it has.
    """
    atoms = [atom for match in _ATOM.finditer(line) if (atom := _atom(match, line, newest, oldest))]
    out, place = [], 0
    while place < len(atoms):
        here, last = atoms[place], atoms[place]
        gap = line[here.end : atoms[place + 1].start] if place + 1 < len(atoms) else ""
        lead = line[max(0, here.start - 60) : here.start]
        between = re.search(r" (?:between|from|in between|anywhere between)(?: the)? $", lead)
        if gap and (
            _TO.match(gap) or (between and between.group().startswith((" bet", " in b", " any")) and _AND.match(gap))
        ):
            place += 1
            last = atoms[place]
            low, high = min(here.low, last.low), max(here.high, last.high)
            out.append(Span(here.start, last.end, "between", low, high, loose=False))
        else:
            out.append(_bounded(here, line, lead))
        place += 1
    out += _relative(line, newest) + _centuries(line)
    return sorted(out, key=lambda span: span.start)


def _atom(match: re.Match[str], line: str, newest: int | None, oldest: int | None) -> Span | None:
    """A year, a decade or a part of one, as years from low to high."""
    start, end = match.span()
    if line[max(0, start - 2) : start].strip() in ("$", "€", "£") or _UNIT.match(line[end : end + 12]):
        return None
    if year := match["year"]:
        low = high = int(year)
        if match["upto"]:
            high = int(year[:2] + match["upto"])
            if high <= low:
                return None
        elif match["ish"]:
            low, high = low - 2, high + 2
        context = bool(_SAID_AS_YEAR.search(line[max(0, start - 20) : start]))
        return Span(start, end, "between", low, high, loose=not context and not match["ish"] and not match["upto"])
    if short := match["short"]:
        low = _century_of(int(short), newest, oldest) + int(short)
        return Span(start, end, "between", low, low)
    said = match["decade"].lstrip("'")
    if said in _NAMED:
        low = _NAMED[said]
    elif len(said) == 3:
        low = _century_of(int(said[:2]), newest, oldest) + int(said[:2])
    else:
        low = int(said[:4])
    if low % 100 == 0 and low < 1900 and not match["part"]:
        return Span(start, end, "between", low, low + 99)
    first, last = _PARTS.get((match["part"] or "").replace(" and ", " to "), (0, 9))
    return Span(start, end, "between", low + first, low + last)


def _century_of(two_digits: int, newest: int | None, oldest: int | None) -> int:
    """1900 or 2000: the later one only for years that the catalogue has."""
    if two_digits < 20:
        return 2000
    late = two_digits <= 29 and newest is not None and newest >= 2000 + two_digits
    return 2000 if late and not (oldest is not None and oldest <= 1900 + two_digits // 10 * 10 + 9) else 1900


def _bounded(atom: Span, line: str, lead: str) -> Span:
    """An atom with what is said before and behind it: "before", "or later", "around"."""
    for pattern, op in _BEHIND:
        if behind := pattern.match(line[atom.end : atom.end + 30]):
            return _with(atom, op, atom.start, atom.end + behind.end(), False)
    if (on := _ON.match(line[atom.end : atom.end + 30])) and re.search(r" from(?: the)? $", lead):
        return _with(atom, ">=", atom.start, atom.end + on.end(), False)
    for pattern, op, settled in _BEFORE:
        if before := pattern.search(lead):
            return _with(atom, op, atom.start - (before.end() - before.start()) + 1, atom.end, settled)
    return atom


def _with(atom: Span, op: str, start: int, end: int, settled: bool) -> Span:
    low, high = atom.low, atom.high
    if op == "around":
        if high == low:
            low, high = low - 2, high + 2
        return Span(start, end, "between", low, high)
    if op == "<":
        return Span(start, end, "<", low, low, settled)
    if op == ">":
        return Span(start, end, ">", high, high, settled)
    if op == "<=":
        return Span(start, end, "<=", high, high, settled)
    return Span(start, end, ">=", low, low, settled)


def _relative(line: str, newest: int | None) -> list[Span]:
    """ "The last ten years", counted back from the catalogue's newest."""
    out = []
    for match in _RELATIVE.finditer(line):
        said, unit = match["count"].strip(), match["unit"]
        count = int(said) if said.isdigit() else _NUMBERS.get(said)
        if newest is None or count is None or (count == 1 and unit.startswith("year")):
            continue
        years = count * (10 if unit.startswith("decade") else 1)
        first = newest - years + 1
        out.append(Span(match.start() + 1, match.end(), ">=", first, first, certainty=0.9))
    return out


def _centuries(line: str) -> list[Span]:
    out = []
    for match in _CENTURY.finditer(line):
        low = (int(match["number"]) - 1) * 100 if match["number"] else 2000
        op: Bound = ">=" if low == 2000 else "between"
        out.append(Span(match.start(), match.end(), op, low, low if low == 2000 else low + 99, certainty=0.9))
    return out
