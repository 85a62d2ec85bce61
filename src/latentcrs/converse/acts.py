"""What sort of thing an utterance is, beside what it asks of the catalogue: thanks, a question about an item shown,
"seen it", "start over"; and which of the items shown it speaks of.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

Kind = Literal[
    "request", "empty", "greeting", "thanks", "small talk", "help", "start over", "more", "why", "question",
    "seen", "refused", "accepted", "liked", "instruction", "foreign",
]  # fmt: skip

LONGEST = 2000
"""Characters of an utterance that are looked at: its beginning and its end."""


@dataclass(frozen=True)
class Act:
    """kind: what was said. items: positions in the last list, from 0. about: what a question asks for (a role of
    `data.roles`, "plot", or "" where it is not known). rest: what may still ask something of the catalogue.
    instead: what follows replaces what was asked for before.
    """

    kind: Kind
    items: tuple[int, ...] = ()
    about: str = ""
    rest: str = ""
    instead: bool = False


_ORDINALS = {
    "first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "fifth": 4, "5th": 4,
    "sixth": 5, "6th": 5, "seventh": 6, "7th": 6, "eighth": 7, "8th": 7, "ninth": 8, "9th": 8, "tenth": 9, "10th": 9,
}  # fmt: skip
_COUNTS = {
    "one": 0,
    "two": 1,
    "three": 2,
    "four": 3,
    "five": 4,
    "six": 5,
    "seven": 6,
    "eight": 7,
    "nine": 8,
    "ten": 9,
}
_WHICH = re.compile(
    r"\b(?:the\s+)?("
    + "|".join(_ORDINALS)
    + r")(?:\s+(?:one|two|three|movie|film|game|album|cd|record|item|option))?\b"
    r"|(?:#|\b(?:number|no\.?|nr\.?|item|option)\s*)(\d{1,2}|" + "|".join(_COUNTS) + r")\b",
    re.IGNORECASE,
)
_LAST = re.compile(
    r"\bthe\s+last(?:\s+(?:one|movie|film|game|album|cd|record|item))?\b(?!\s+\w*\s*years?)", re.IGNORECASE
)
_ALL = re.compile(
    r"\b(all\s+(?:of\s+)?(?:these|those|them|five|of\s+it)|(?:these|those|them)\s+all|both|every\s+one\s+of\s+them"
    r"|everything\s+(?:here|there))\b",
    re.IGNORECASE,
)
_THIS = re.compile(r"\b(it|this|that|this\s+one|that\s+one|him|her)\b", re.IGNORECASE)
_TWO = re.compile(r"\bthe\s+first\s+(two|three|four)\b", re.IGNORECASE)

_GREETING = re.compile(r"(hi|hello|hey|heya|hiya|howdy|yo|good\s+(morning|afternoon|evening|day)|greetings)"
                       r"(\s+(there|all|you|guys|everyone|again))?", re.IGNORECASE)  # fmt: skip
_THANKS = re.compile(
    r"(ok(ay)?[,!.\s]*)?(great|perfect|awesome|cool|nice|lovely|wonderful|many|ok(ay)?)?[,!.\s]*"
    r"(thanks?|thank\s+you|thx|cheers|ty|much\s+appreciated)(\s+(a\s+lot|so\s+much|very\s+much|you|again|for\s+[\w\s]{1,40}))*"
    r"([,!.\s]*(bye|goodbye|see\s+you|have\s+a\s+(nice|good|great)\s+\w+|that'?s?\s+(all|great|perfect|it)))*"
    r"|bye|goodbye|see\s+(you|ya)|good\s*night|have\s+a\s+(nice|good|great)\s+\w+|that'?s\s+all(\s+for\s+now)?",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"how\s+(are|r)\s+(you|u)(\s+(doing|today|doing\s+today))?|how'?s\s+it\s+going|how\s+do\s+you\s+do|what'?s\s+up|sup"
    r"|nice\s+to\s+meet\s+you|who\s+are\s+you|what\s+are\s+you|what'?s\s+your\s+name|are\s+you\s+(a\s+|an\s+)?"
    r"(human|real|robot|bot|person|machine|ai)|(i'?m\s+)?(fine|good|great|ok(ay)?|well)(\s+thanks)?(\s*,?\s*(and\s+)?(you|u))?"
    r"|lol+|haha+|ha|hmm+|huh|wow|cool|nice|ok(ay)?|sure|yes|yeah|yep|yup|no|nope|alright|right|i\s+see|interesting"
    r"|do\s+you\s+(like|watch|play|listen\s+to)\s+(movies|films|games|music|albums)|tell\s+me\s+a\s+joke"
    r"|what\s+do\s+you\s+think|i\s+don'?t\s+know",
    re.IGNORECASE,
)
_HELP = re.compile(
    r"help(\s+me)?|what\s+can\s+(you|i)\s+(do|say|ask)(\s+(here|for\s+me))?|how\s+does\s+(this|it)\s+work"
    r"|what\s+is\s+this|how\s+do\s+i\s+use\s+(this|it)|what\s+now",
    re.IGNORECASE,
)
_START_OVER = re.compile(
    r"\b(start\s+(over|again|afresh|from\s+(scratch|the\s+beginning))|(new|fresh)\s+(search|conversation|start)|reset"
    r"|forget\s+(everything|all(\s+(that|of\s+it|i\s+said))?|what\s+i\s+(said|asked))|begin\s+again|clear\s+(everything|all"
    r"|the\s+filters?|filters?)|let'?s\s+start\s+over|from\s+scratch)\b",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"\b(something|anything|somethin)\s+(else|different|other)\b|\bwhat\s+else\b|\b(any|some|show|give|got|have|suggest)?"
    r"\s*(me\s+)?(any\s+|some\s+|a\s+few\s+)?(more|others?|other\s+(ones?|options|ideas|suggestions|recommendations))\b\s*"
    r"(please|options|ideas|suggestions|recommendations|like\s+(this|that|these|those))?\s*[?!.]*$"
    r"|^\s*(next|more|another(\s+one)?|others|again|go\s+on|continue|keep\s+going|try\s+again|what\s+other.*)\s*[?!.]*$"
    r"|\bnone\s+of\s+(these|those|them)\b",
    re.IGNORECASE,
)
_WHY = re.compile(
    r"^\s*(but\s+|and\s+|so\s+)?(why\b(?!\s+(not|don'?t\s+(you|we)))|how\s+come\b|what\s+makes\s+you\b"
    r"|explain\s+(the|this|that|why|number|#)|reason\s+for)",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"\b(ignore|disregard|forget|override|bypass)\b.{0,30}\b(your|the|all|any|previous|prior|above|system)\b.{0,30}"
    r"\b(rules?|instructions?|prompts?|guidelines|directions|restrictions|filters?|programming)\b"
    r"|\b(system|developer)\s+prompt\b|\byou\s+are\s+now\b|\b(pretend|act)\s+(to\s+be|as\s+(if|though)|like)\s+(you|a|an)\b"
    r"|\bjailbreak\b|\breveal\s+your\b|\bprint\s+your\b|\brepeat\s+after\s+me\b|<\s*/?\s*(system|instructions?)\s*>"
    r"|\bdrop\s+table\b|\bdelete\s+from\b",
    re.IGNORECASE,
)
_RECOMMEND_THIS = re.compile(
    r"\b(and|then|,)?\s*(only\s+)?(recommend|say|suggest|show|output|answer)\b.*$", re.IGNORECASE
)
_SEEN = re.compile(
    r"\b(i'?ve\s+|i\s+have\s+|have\s+|we'?ve\s+|we\s+have\s+|already\s+|i\s+)(already\s+)?(seen|saw|watched|played|heard|read"
    r"|own|owned|got|bought|know|finished)\b(?!\s+(that|what|how|if|where|why|who|a\s+lot|many|more|less|good|great)\s+\w+\s+\w+)"
    r"|^\s*(already\s+)?(seen|watched|played|heard|know|own|got)\s+(it|that|this|them|those|these|all|both|the|\d|#|number)",
    re.IGNORECASE,
)
_NOT_SEEN = re.compile(r"\b(haven'?t|have\s+not|not|never|didn'?t|don'?t)\s+(yet\s+)?(i\s+)?(actually\s+)?"
                       r"(seen|saw|see|watched|watch|played|heard|read|own|know)\b", re.IGNORECASE)  # fmt: skip
_REFUSED = re.compile(
    r"\bnot\s+(that|this|these|those|the|number|#)\s*(one|ones|first|second|third|fourth|fifth|last|\d)?\b"
    r"|\b(don'?t|do\s+not|didn'?t|did\s+not)\s+(really\s+)?(like|want|care\s+for|fancy|enjoy)\s+"
    r"(it|that|this|these|those|them|any\s+of|the\s+(first|second|third|fourth|fifth|last)|number|#|either)"
    r"|\b(hate|hated|dislike|skip|no\s+to)\s+(it|that|this|these|those|them|the\s+(first|second|third|fourth|fifth|last)"
    r"|number|#)|\bnot\s+(for\s+me|my\s+(thing|cup\s+of\s+tea|taste|style)|interested(\s+in\s+(that|this|it|those|these))?)\b"
    r"|^\s*(no|nope|nah|not\s+(quite|really|it)|pass|meh|bad\s+idea)([,.!\s]+(thanks|thank\s+you))?[.!\s]*$"
    r"|\bnone\s+of\s+(these|those|them)\b",
    re.IGNORECASE,
)
_ACCEPTED = re.compile(
    r"\b(i'?ll|i\s+will|let'?s|we'?ll|i'?d|gonna|going\s+to)\s+(take|go\s+with|go\s+for|try|watch|play|get|buy|pick|have"
    r"|choose|listen\s+to|order|see)\s+(it|that|this|the\s+(first|second|third|fourth|fifth|last)|number|#|both|them)"
    r"|\b(sounds|looks|seems)\s+(good|great|perfect|interesting|nice|fun|awesome|lovely)\b"
    r"|^\s*(perfect|exactly|that'?s\s+(it|the\s+one|perfect|great)|yes[,!\s]+(that|the|this|perfect|please)\b.*|deal|sold"
    r"|great\s+(choice|pick|idea|suggestion)s?|good\s+(choice|pick|idea|suggestion)s?)[.!\s]*$",
    re.IGNORECASE,
)
_LIKED = re.compile(
    r"\b(i\s+)?(really\s+|absolutely\s+)?(love|loved|like|liked|enjoy|enjoyed|adore|adored)\s+"
    r"(it|that|this|those|these|them|the\s+(first|second|third|fourth|fifth|last)|number|#|both)(?!\s+(kind|sort|type|genre))",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(instead|rather\s+than\s+that|on\s+second\s+thoughts?|changed\s+my\s+mind|make\s+(it|that)|"
                      r"switch\s+to)\b", re.IGNORECASE)  # fmt: skip
_QUESTION = re.compile(
    r"^\s*(and\s+|so\s+|but\s+|ok(ay)?[,\s]+)?(who|what|when|which|where|how|is|are|was|were|does|do|did|has|can|could|tell\s+me)\b",
    re.IGNORECASE,
)
_ABOUT: tuple[tuple[str, str], ...] = (
    (r"\bdirect(ed|or|s)\b|\bwho\s+made\b.*\b(movie|film)\b", "director"),
    (r"\bwho('?s|\s+is|\s+are|\s+was|\s+were)?\s+(\w+\s+)?(in|starring|playing|acting|the\s+(actors?|cast|stars?))\b"
     r"|\bwho\s+(stars?|plays|played|acts|acted)\b|\b(actors?|actress(es)?|cast|starring|stars)\b", "actor"),
    (r"\bwho\s+wrote\b|\bwritten\b|\bwriters?\b|\bscreenplay\b", "writer"),
    (r"\b(what|which)\s+year\b|\bwhen\b|\bhow\s+old\b|\byear\b|\bcome\s+out\b|\breleased?\b", "year"),
    (r"\b(what|which)\s+(kind|sort|type|genres?)\b|\bgenres?\b", "genre"),
    (r"\babout\b|\bplot\b|\bstory\b|\bsynopsis\b|\bdescribe\b|\bdescription\b|\btell\s+me\s+more\b|\bhappens\b",
     "plot"),
    (r"\b(what|which)\s+(platforms?|consoles?|systems?)\b|\bplatforms?\b|\b(run|play|work)s?\s+on\b", "platform"),
    (r"\bwho\s+(published|publishes)\b|\bpublishers?\b", "publisher"),
    (r"\bwho\s+(made|makes|developed)\b|\bdevelopers?\b|\bstudio\b", "developer"),
    (r"\b(rated|certificate|age\s+rating|rating|for\s+(kids|children)|suitable|appropriate)\b", "certificate"),
    (r"\bhow\s+much\b|\bprice\b|\bcosts?\b|\bexpensive\b|\bcheap\b", "price"),
    (r"\bhow\s+long\b|\blength\b|\bruntime\b|\bduration\b|\bminutes\b", "length"),
    (r"\b(artist|band|singer|author|composer|performer)s?\b|\bwho\s+(sings|sang|plays)\b", "creator"),
    (r"\b(language|subtitles?|dubbed)\b", "language"),
    (r"\bcountry\b|\bwhere\b.*\bfrom\b", "country"),
)  # fmt: skip
_FOREIGN = frozenset(
    "una unos que como por para quiero busco algo pelicula película peliculas películas gracias hola je tu il elle "
    "nous vous une est dans avec pour veux cherche quelque chose bonjour merci ich du wir ihr der ein eine und ist "
    "nicht mit möchte suche etwas bitte danke hallo filme lustigen aus io voglio vorrei cerco qualcosa gli della "
    "grazie ciao sono eu quero procuro obrigado uma não".split()
)
_ENGLISH = frozenset(
    "a an the and or of in on for with to from i is are it that this my me you something some any not like want need "
    "looking movie film game album show good about before after have no by at please more one what who".split()
)


def clean(utterance: str) -> str:
    """The utterance as it is read: one line, without control characters, no longer than `LONGEST` (its beginning and
    its end, where what is wanted mostly stands).
    """
    text = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", utterance))
    text = " ".join(text.replace("\u2019", "'").split())
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half].rsplit(' ', 1)[0]} {text[-half:].split(' ', 1)[-1]}"


def items_meant(text: str, titles: Sequence[str], pronouns: bool = True) -> tuple[int, ...]:
    """Which of the `titles` shown last the text speaks of: by place ("the second one", "#2"), title, "all of them",
    or (with `pronouns`) "it", which is the first.
    """
    if not titles:
        return ()
    if _ALL.search(text):
        return tuple(range(len(titles)))
    if found := _TWO.search(text):
        return tuple(range(min(len(titles), _COUNTS[found[1].lower()] + 1)))
    places = []
    for match in _WHICH.finditer(text):
        word = (match[1] or match[2]).lower()
        place = _ORDINALS[word] if word in _ORDINALS else _COUNTS.get(word, int(word) - 1 if word.isdigit() else -1)
        places.append(place)
    if _LAST.search(text):
        places.append(len(titles) - 1)
    lowered = text.lower()
    for place, title in enumerate(titles):
        name = re.sub(r"\s*\(.*\)$", "", title).lower()
        if len(name) >= 4 and fuzz.partial_ratio(name, lowered, score_cutoff=92):
            places.append(place)
    places = [place for place in dict.fromkeys(places) if 0 <= place < len(titles)]
    if not places and pronouns and _THIS.search(text):
        places = [0]
    return tuple(places)


def is_foreign(text: str) -> bool:
    """Whether the text is in a language other than English, as far as its letters and little words say."""
    letters = [c for c in text if c.isalpha()]
    if len(letters) >= 3 and sum("LATIN" not in unicodedata.name(c, "LATIN") for c in letters) > len(letters) / 2:
        return True
    words = re.findall(r"[^\W\d_]+", text.lower())
    foreign, english = sum(w in _FOREIGN for w in words), sum(w in _ENGLISH for w in words)
    return foreign >= 2 and foreign > english


def read_act(utterance: str, titles: Sequence[str] = ()) -> Act:
    """What sort of utterance this is, given the `titles` of the last list in their order."""
    text = clean(utterance)
    bare = re.sub(r"^[\W_]+|[\W_]+$", "", text)
    if not any(c.isalnum() for c in text):
        return Act("empty")
    if _INSTRUCTION.search(text):
        rest = _RECOMMEND_THIS.sub("", _INSTRUCTION.sub(" ", text)).strip(" ,.;:!")
        return Act("instruction", rest=rest)
    for kind, pattern in (("greeting", _GREETING), ("help", _HELP), ("thanks", _THANKS)):
        if pattern.fullmatch(bare):
            return Act(kind)  # type: ignore[arg-type]
    instead = bool(_INSTEAD.search(text))
    if found := _START_OVER.search(text):
        rest = (text[: found.start()] + " " + text[found.end() :]).strip(" ,.;:!-")
        return Act("start over", rest=rest)
    if titles and _WHY.match(text):
        return Act("why", items_meant(text, titles) or (0,))
    if titles and _QUESTION.match(text) and (question := _question(text, titles)):
        return question
    if titles and not _NOT_SEEN.search(text) and (found := _SEEN.search(text)):
        meant = items_meant(text, titles) or ()
        if meant:
            return Act("seen", meant, rest=_after(text, found), instead=instead)
    if titles and (found := _REFUSED.search(text)):
        meant = items_meant(text[found.start() :], titles, pronouns=False)
        everything = re.search(r"\b(none|any|either|these|those|them)\b", text, re.IGNORECASE)
        alone = re.fullmatch(r"(no|nope|nah|not (quite|really|it)|pass|meh)\W*", bare, re.IGNORECASE)
        if not meant:
            meant = tuple(range(len(titles))) if everything or alone else items_meant(text, titles)
        return Act("refused", meant or tuple(range(len(titles))), rest=_after(text, found), instead=instead)
    if titles and (found := _ACCEPTED.search(text)):
        return Act("accepted", items_meant(text, titles) or (0,), rest=_after(text, found))
    if titles and (found := _LIKED.search(text)):
        return Act("liked", items_meant(text, titles) or (0,), rest=_after(text, found))
    if _SMALL_TALK.fullmatch(bare):
        return Act("small talk")
    if titles and (found := _MORE.search(text)):
        rest = (text[: found.start()] + " " + text[found.end() :]).strip(" ,.;:!-?")
        return Act("more", rest=rest, instead=instead)
    return Act("foreign" if is_foreign(text) else "request", rest=text, instead=instead)


def _question(text: str, titles: Sequence[str]) -> Act | None:
    """A question about an item that was shown, or None."""
    asks = next((about for pattern, about in _ABOUT if re.search(pattern, text, re.IGNORECASE)), "")
    named = items_meant(text, titles, pronouns=False)
    pointing = items_meant(text, titles)
    if named and (asks or text.rstrip().endswith("?")):
        return Act("question", named, asks)
    short = len(text.split()) <= 9
    if pointing and asks and short:
        return Act("question", pointing, asks)
    return None


def _after(text: str, found: re.Match[str]) -> str:
    """What follows an act in the same utterance: "seen it, something older"."""
    rest = text[found.end() :]
    cut = re.search(r"[,.;:!]|\bbut\b|\band\b", rest, re.IGNORECASE)
    return rest[cut.end() :].strip(" ,.;:!-") if cut else ""
