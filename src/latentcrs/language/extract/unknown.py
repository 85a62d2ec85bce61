"""Conditions that people state and that this catalogue has no column or value for."""

from __future__ import annotations

import re
from collections.abc import Collection

from latentcrs.language.extract.english import FUNCTION
from latentcrs.language.extract.tokens import Line

_LANGUAGES = (
    "english|french|german|italian|spanish|japanese|korean|chinese|mandarin|cantonese|hindi|russian|swedish|danish|"
    "norwegian|finnish|dutch|polish|portuguese|turkish|arabic|greek|latin|hebrew|thai|vietnamese|farsi|persian|"
    "czech|hungarian"
)
_SERVICES = (
    "netflix|hulu|amazon prime|prime video|disney plus|disney \\+|hbo|hbo max|apple tv|peacock|paramount plus|"
    "youtube|cassette|laserdisc|"
    "spotify|tidal|kindle|audible|game pass|gamepass|blu ray|bluray|vhs|dvd|4k|imax|vinyl|steam"
)
_NOUN = "(?:movies?|films?|flicks?|games?|albums?|records?|books?|songs?|music|series|shows?|one|ones)"
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("language", rf"(?:in|dubbed in|subtitles in) (?:{_LANGUAGES})(?: language)?(?: subtitles)?"),
    ("language", rf"(?:{_LANGUAGES}) (?:language|speaking|subtitled|dubbed)"),
    ("language", r"(?:with |without |has |have )?(?:english )?subtitles?|subtitled|dubbed|foreign language|foreign"),
    ("cast", r"(?:strong |black |asian |gay |lesbian |queer |lgbtq? |latino |all )*(?:female|woman|women|male|black|"
             r"asian|"
             r"gay|lesbian|queer|strong) (?:leads?|protagonists?|heroes|hero|heroines?|main characters?|characters?|"
             r"directors?|casts?)|strong (?:women|woman)|(?:lgbtq?|queer)"),
    ("studio", r"disney|pixar|marvel|dreamworks|studio ghibli|ghibli|a24|hallmark|mcu|"
               rf"(?:dc|lifetime|hbo|bbc|netflix|hulu) (?:{_NOUN}|originals?)"),
    ("theater", r"(?:still |out |playing |now )*(?:in|at) (?:the )?(?:theat(?:er|re)s?|cinemas?)(?: now| right now)?|"
                r"now playing|in 3d"),
    ("form", rf"(?:parody|parodies|spoofs?|mockumentar(?:y|ies)|found footage|stop motion|claymation|cgi|live action|"
             rf"silent(?= {_NOUN})|mini ?series|tv (?:shows?|series)|short films?|indie(?= {_NOUN})|"
             rf"independent(?= {_NOUN})|"
             r"biographical|biograph(?:y|ies)|biopics?|anime)|(?:based on |about |on )?(?:an? )?true (?:story|"
             r"stories|"
             r"events?)|based on (?:an? )?(?:book|novel|comic|play|video game|real)(?:s| events| life| story)?"),
    ("colour", r"(?:in )?black and white|b and w|in colou?r"),
    ("audience", r"(?:my |the )?(?:whole|entire) family"),
    ("voice", r"(?:without|no|with) (?:any |the )?(?:vocals?|singing|lyrics|words|singers?)|instrumentals?|"
              r"live (?:albums?|recordings?|"
              r"versions?)|remastered|a cappella|acapella"),
    ("country", rf"(?:foreign|{_LANGUAGES}|british|american|european|bollywood|canadian|australian|irish|"
                rf"mexican|indian|scandinavian) {_NOUN}"),
    ("service", rf"(?:on|from|via|streaming on|available on) (?:{_SERVICES})"),
    ("length", r"(?:not|nothing|isnt|dont want anything|never) (?:too |so |very |that |overly )?(?:long|short|"
               r"lengthy)|"
               r"(?:under|less than|at most|no more than|shorter than|over|longer than|more than|around|about|"
               r"max) (?:\w+|\d+\.\d+) (?:and a half )?(?:hours?|hrs?|h|minutes?|mins?)(?: long)?|"
               r"short(?:er)? (?:movies?|films?|runtime|ones?)|long (?:movies?|films?)|(?:short|long) runtime"),
    ("price", r"(?:cheap|inexpensive|affordable|free|on sale|discounted)(?= (?:[.,]|movies?|films?|games?|"
              r"albums?|one|ones|please|$|and|accessor))"),
    ("players", r"(?:(?:single|one|two|four|2|4) player|multiplayer|multi player|co op|coop|split screen|couch "
                r"co op|open world|sandbox|local multiplayer|offline|free to play|vr)|online(?= (?:games?|mode|"
                r"play|multiplayer))"),
    ("rating", r"(?:rated|rating|rating of|score|scored|rating above|rated above|rated over|rating over|at "
               r"least) (?:over |above |at least |higher than )?\d(?:\.\d)?(?: (?:stars?|out of|/) ?\d*| on "
               r"imdb| or higher| or more|\+)|oscar winn(?:ing|er)|award winning|(?:won|win|winner of|winning) "
               r"(?:an |the |a )?(?:oscars?|academy award|award|grammy)"),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(rf"(?<= )(?:{pattern})(?= )")) for kind, pattern in _PATTERNS)
_COLUMNS = {
    "language": r"language|spoken|origin|country",
    "cast": r"cast_type|lead|protagonist",
    "studio": r"studio|producer|production|company|franchise",
    "theater": r"available|service|provider",
    "form": r"form|type|format",
    "colour": r"colou?r",
    "audience": r"audience|age",
    "voice": r"vocal|instrument",
    "country": r"country|nation|origin|language",
    "service": r"service|provider|available|stream|platform|format",
    "length": r"runtime|duration|length|minutes|hours|playtime|pages",
    "price": r"price|cost",
    "players": r"players|mode|multiplayer|features?",
    "rating": r"rating|score|award|stars|imdb",
}


class Unknown:
    """Finds conditions that `columns` (names of the catalogue's columns) do not decide."""

    def __init__(self, columns: Collection[str]) -> None:
        self._patterns = [
            (kind, pattern)
            for kind, pattern in _COMPILED
            if not any(re.search(_COLUMNS[kind], column.lower()) for column in columns)
        ]

    def spans(self, line: Line) -> list[tuple[int, int]]:
        """The tokens of `line` that state such a condition, in order."""
        out: list[tuple[int, int]] = []
        for _, pattern in self._patterns:
            for match in pattern.finditer(line.line):
                out.append((line.first_token(match.start()), line.token_after(match.end())))
        return sorted(set(out))


_THING_BEHIND = re.compile(rf"^ (?:{_NOUN}|accessor\w+|console) ")
_PLACE_BEFORE = {
    "platform": r" (?:for|on|my|works? with|compatible with)(?: (?:my|the|a|an|their|our))? $",
    "certificate": r" (?:rated|rating|rating of)(?: (?:of|is|a|an))? $",
    "sort": r" (?:an?|some|any|something|good|great|want|genre|of|for) $",
    "origin": r" (?:in|an?|some) $",
    "maker": r" (?:by|made by|published by|developed by|from) $",
}


def said_as_condition(line: Line, start: int, end: int, kind: str) -> bool:
    """Whether a phrase that the catalogue has nothing for is said as a condition: "an anime film", "for my PS5"."""
    before, behind = line.before(start), line.behind(end)
    if kind in ("maker", "origin"):
        return bool(re.search(_PLACE_BEFORE[kind], before)) and (kind == "maker" or bool(_THING_BEHIND.match(behind)))
    if kind == "sort" and re.search(r" (?:about|with|involving) (?:an?|the|some)(?: \w+)? $", before):
        return False
    return bool(_THING_BEHIND.match(behind) and kind != "certificate") or bool(re.search(_PLACE_BEFORE[kind], before))


_SURE = re.compile(
    r" (?:directed by|starring|written by|published by|developed by|performed by|sung by|composed by) $"
)
_MAYBE = re.compile(r" (?P<word>by|with|featuring|from director|actor|actress|director|has|have) (?P<the>the )?$")


def unheard_names(line: Line, taken: list[bool]) -> list[tuple[int, int]]:
    """Names behind "starring", "directed by", "by" that the catalogue does not have."""
    out = []
    for place, token in enumerate(line.tokens):
        if taken[place] or token.mark or token.word in FUNCTION:
            continue
        before = line.before(place, 20)
        sure, maybe = _SURE.search(before), _MAYBE.search(before)
        if not (sure or (maybe and token.capital)):
            continue
        end = place + 1
        while end < len(line.tokens) and end - place < 4 and line.tokens[end].capital and not taken[end]:
            end += 1
        led = line.tokens[place - 2].capital and not line.tokens[place - 2].begins if place > 1 else False
        long = end - place > 1
        the = bool(maybe and maybe["the"]) and line.tokens[place - 1].capital
        if sure or (maybe and not led and (maybe["word"] not in ("with", "has", "have") or long or the)):
            out.append((place - the, end))
    return out
