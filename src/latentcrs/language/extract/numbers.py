"""Bounds on number columns: "under $30", "at most 30 dollars", "a rating above 8", "less than 300 pages"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from latentcrs.data.roles import Role
from latentcrs.language.extract.tokens import key_of, stem
from latentcrs.language.extract.years import Bound


@dataclass(frozen=True)
class Bounds:
    """What was said at `start`..`end` of a line about the number column `column` ("" where there is none for it)."""

    start: int
    end: int
    column: str
    op: Bound
    low: float
    high: float
    certainty: float = 1.0


_CURRENCY = r"(?:dollars?|bucks?|euros?|eur|usd|gbp|pounds?|quid)"
_AMOUNT = r"(?:[$€£] )?\d+(?:\.\d+)?(?: [€£$](?= ))?"
Comparison = Literal["between", "<", "<=", ">", ">=", "around", "for"]
_COMPARED: tuple[tuple[str, Comparison], ...] = (
    (r"(?:no more than|not more than|nothing over|nothing above|not over|not above|at most|up to|maximum(?: "
     r"of)?|max(?: of)?|within|< =|cant spend more than|cannot spend more than|can spend|budget (?:is|of)|"
     r"budget|no longer than|not longer than|to spend)", "<="),
    (r"(?:no less than|not less than|nothing under|nothing below|not under|not below|at least|minimum(?: of)?|"
     r"min(?: of)?|> =|starting at)", ">="),
    (r"(?:under|below|less than|fewer than|cheaper than|lower than|smaller than|shorter than|beneath|<)", "<"),
    (r"(?:over|above|more than|greater than|higher than|longer than|bigger than|>)", ">"),
    (r"(?:around|about|roughly|approximately|circa|ca)", "around"),
    (r"(?:for|costs?|costing|priced at)", "for"),
)  # fmt: skip
_RANGE = re.compile(rf"(?<= )(?:(?:between|from) )?({_AMOUNT})(?: {_CURRENCY})? (?:-|to|and) ({_AMOUNT})(?= )")
_BOUND = re.compile(
    rf"(?<= )(?P<op>{'|'.join(pattern for pattern, _ in _COMPARED)}) (?:the )?(?P<amount>{_AMOUNT})(?= )"
)
_LEAST = re.compile(
    rf"(?<= )(?P<amount>{_AMOUNT})(?P<unit> {_CURRENCY}| \w+)? (?P<op>or less|or under|or below|max|maximum|"
    rf"tops|or more|and up|or above|or higher|\+up)(?= )"
)
_UNIT = re.compile(r"^ (?:[€£$]|([a-z]+))(?= )")
_UNITS: dict[str, tuple[str, ...]] = {
    "minute": ("runtime", "duration", "length", "minute", "playtime", "time"),
    "min": ("runtime", "duration", "length", "minute", "playtime", "time"),
    "hour": ("runtime", "duration", "length", "hour", "playtime", "time"),
    "page": ("page", "length"),
    "star": ("rating", "star", "score"),
    "point": ("score", "rating", "point"),
    "player": ("player",),
    "track": ("track", "song"),
    "song": ("song", "track"),
}


def bounds_said(line: str, numbers: Mapping[str, Role]) -> list[Bounds]:
    """Every bound said in `line` on one of `numbers` (column -> role), or on money where there is no price column."""
    out: list[Bounds] = []
    for match in _RANGE.finditer(line):
        low, high = sorted((_number(match[1]), _number(match[2])))
        out += _bounds(match, line, numbers, "between", low, high)
    for match in _BOUND.finditer(line):
        op = next(op for pattern, op in _COMPARED if re.fullmatch(pattern, match["op"]))
        amount = _number(match["amount"])
        out += _bounds(match, line, numbers, op, amount, amount)
    for match in _LEAST.finditer(line):
        least = match["op"] in ("or more", "and up", "or above", "or higher", "+up")
        amount = _number(match["amount"])
        out += _bounds(match, line, numbers, ">=" if least else "<=", amount, amount)
    taken: list[Bounds] = []
    for bounds in sorted(out, key=lambda found: (found.start, -found.end)):
        if not taken or bounds.start >= taken[-1].end:
            taken.append(bounds)
    return taken


def _bounds(
    match: re.Match[str], line: str, numbers: Mapping[str, Role], op: Comparison, low: float, high: float
) -> list[Bounds]:
    behind = line[match.end() : match.end() + 30]
    unit_match = _UNIT.match(behind)
    unit = unit_match.group(1) or "$" if unit_match else ""
    text = match.group()
    if (named := re.search(_CURRENCY, text)) or re.search(r"[$€£]", text) or re.fullmatch(_CURRENCY, unit):
        column = next((name for name, role in numbers.items() if role == "price"), "")
        end = match.end() + (unit_match.end() if unit_match and not named and re.fullmatch(_CURRENCY, unit) else 0)
    else:
        column, end = _column_of(stem(unit), line[max(0, match.start() - 40) : match.start()], numbers), match.end()
        if not column:
            return []
        if unit_match and (stem(unit) in _UNITS or stem(unit) in key_of(column)):
            end += unit_match.end()
    start = match.start()
    if op == "around":
        return [Bounds(start, end, column, "between", low * 0.8, high * 1.2, 0.7)]
    if op == "for":
        return [Bounds(start, end, column, "<=", low, high, 0.7)] if numbers.get(column) == "price" else []
    return [Bounds(start, end, column, op, low, high, 0.9)]


def _column_of(unit: str, before: str, numbers: Mapping[str, Role]) -> str:
    """The number column that the unit or the words in front name; the only one there is where there is no unit."""
    words = set(before.split())
    stems = {stem(word) for word in words}
    for name in numbers:
        key = key_of(name.replace("_", " "))
        if unit in key or any(part in key for part in _UNITS.get(unit, ())):
            return name
    for name in numbers:
        if stems & set(key_of(name.replace("_", " "))) - {"of", "the", "in"}:
            return name
    if words & {"budget", "spend", "cost", "costs", "price", "pay"}:
        return next((name for name, role in numbers.items() if role == "price"), "")
    nothing = not unit or unit in ("and", "or", "please", "with", "but", "for", "from", "that", "in", "on", "by")
    return next(iter(numbers)) if len(numbers) == 1 and nothing and unit not in _UNITS else ""


def _number(text: str) -> float:
    return float(re.sub(r"[^\d.]", "", text))
