"""What sort of thing an utterance is, beside what it asks of the catalogue: thanks, a question about an item shown,
"seen it", "start over".
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from latentcrs.converse.pointing import MARK, NAMED, PLURAL, SINGULAR, PointedText, pointed
from latentcrs.hear.language import plain, word_set

Kind = Literal[
    "request", "empty", "greeting", "thanks", "small talk", "help", "start over", "more", "why", "question",
    "seen", "refused", "accepted", "liked", "instruction", "foreign", "unsure",
]  # fmt: skip

LONGEST = 2000
"""Characters of an utterance that are looked at: its beginning and its end."""


@dataclass(frozen=True)
class Act:
    """kind: what was said. items: positions in the last list, from 0. about: what a question asks for: a role of
    `data.roles`, "plot", "length", "" for all there is to say, or "unknown". rest: what may still ask something of
    the catalogue. instead: what follows replaces what was asked for before. "More" with items is "more like these".
    """

    kind: Kind
    items: tuple[int, ...] = ()
    about: str = ""
    rest: str = ""
    instead: bool = False


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Patterns see each pointer at an item as one mark (`pointing`). Repetitions that could be read in several ways are
# possessive: no utterance makes them go back and forth.
_THEM = rf"(?:(?:both|all|any|either|the)\s+(?:of\s+)?)?{MARK}(?:\s*(?:,|and|or|&)\s*{MARK})*"
_CLAUSE = r"(?:^|(?<=[,.;:!?]\s))"
_LEAD = (
    r"(?:(?:ok|okay|no|nope|nah|hmm|well|oh|yes|yeah|please|and|but|so|now|then|actually|just|sorry|let'?s|can\s+we|could\s+we"
    r"|(?:can|could)\s+you|would\s+you|i\s+want(?:\s+to)?|i'd\s+like(?:\s+to)?|we\s+want|do\s+you\s+have|have\s+you\s+got|you\s+got"
    r"|is\s+there|are\s+there|got|give\s+me|show\s+me|find\s+me|show|suggest|recommend|tell\s+me|how\s+about|what\s+about)[,\s]+)*+"
)
_SMALL = (
    r"(?:(?:a\s+bit|a\s+little|just|exactly|really|absolutely|quite|also|always|already|totally|actually"
    r"|both(?=\s+(?:loved|liked|seen))|all(?=\s+seen))\s+)*+"
)

_GREETING = _words(
    r"(hi|hello|hey|heya|hiya|howdy|yo|good\s+(morning|afternoon|evening|day)|greetings)"
    r"(\s+(there|all|you|guys|everyone|again))?"
)
_THANKING = r"thanks?|thank\s+you|thx|cheers|ty|much\s+appreciated"
_LEAVING = (
    r"bye(?:[\s-]bye)?|goodbye|see\s+(?:you|ya)(?:\s+(?:later|soon))?|good\s*night|have\s+a\s+(?:nice|good|great)\s+\w+"
    r"|that'?s\s+(?:all|it)(?:\s+for\s+now)?|(?:no|nothing)\s+more"
)
_THANKS = _words(
    rf"(?:(?:{_THANKING}|{_LEAVING}|ok|okay|great|perfect|awesome|cool|nice|lovely|wonderful|many|a\s+lot|so\s+much|very\s+much"
    r"|again|you|that'?s\s+(?:great|perfect)|for\s+(?:the|your|all|that|this|these|those|it|everything|helping)"
    r"(?:\s+(?!now\b)\w+){0,3}+)(?:[\s,.!]+|$))++"
)
_SAID_THANKS = _words(rf"\b(?:{_THANKING}|{_LEAVING})\b")
_SMALL_TALK = _words(
    r"how\s+(are|r)\s+(you|u)(\s+(doing|today|doing\s+today))?|how'?s\s+it\s+going|how\s+do\s+you\s+do|what'?s\s+up|sup"
    r"|nice\s+to\s+meet\s+you|who\s+are\s+you|what\s+are\s+you|what'?s\s+your\s+name|are\s+you\s+(a\s+|an\s+)?"
    r"(human|real|robot|bot|person|machine|ai)|(i'?m\s+)?(fine|good|great|ok(ay)?|well)(\s+thanks)?(\s*,?\s*(and\s+)?(you|u))?"
    r"|lol+|haha+|ha|hmm+|huh|wow|cool|nice|ok(ay)?|sure|yes|yeah|yep|yup|no|nope|alright|right|i\s+see|interesting"
    r"|do\s+you\s+(like|watch|play|listen\s+to)\s+(movies|films|games|music|albums)|tell\s+me\s+a\s+joke"
    r"|what\s+do\s+you\s+think|i\s+don'?t\s+know|(i\s+)?got\s+it|i\s+know(\s+that)?|understood"
)
_HELP = _words(
    r"help(\s+me)?|what\s+can\s+(you|i)\s+(do|say|ask)(\s+(here|you|for|for\s+me))?|how\s+does\s+(this|it)\s+work"
    r"|what\s+is\s+this|how\s+do\s+i\s+use\s+(this|it)|what\s+now"
)
_START_OVER = _words(
    rf"{_CLAUSE}{_LEAD}(?:start\s+(?:over|again|afresh|from\s+(?:scratch|the\s+beginning))(?:\s+(?:again|from\s+scratch))?"
    r"|(?:a\s+)?(?:new|fresh)\s+(?:search|conversation|start)|reset(?:\s+(?:everything|all))?|from\s+scratch|begin\s+again"
    r"|forget\s+(?:everything|all|all\s+(?:of\s+)?(?:it|that|this))(?:\s+(?:that\s+)?i\s+(?:said|asked(?:\s+for)?))?"
    r"|forget\s+what\s+i\s+(?:said|asked(?:\s+for)?)|clear\s+(?:everything|all|(?:all\s+)?(?:the\s+|my\s+)?filters?))"
    r"(?:\s+(?:so\s+far|before|now|please))*+(?=\s*(?:$|[,.;:!?]|-|(?:and|with)\b))"
)
_MORE = _words(
    rf"{_CLAUSE}{_LEAD}(?:(?:something|anything|somethin)\s+(?:else|different|other)\b|what\s+else\b"
    r"(?:\s+(?:do\s+you\s+have|have\s+you\s+got|you\s+(?:got|have)|is\s+there|there\s+is|can\s+you\s+(?:show|suggest|recommend)(?:\s+me)?))?"
    r"|(?:(?:any|some|a\s+few|what)\s+)?(?:more|others?|similar|other\s+(?:ones?|options|ideas|suggestions|recommendations)"
    r"|another(?:\s+one)?|next(?:\s+ones?)?|again|go\s+on|continue|keep\s+going|try\s+again|something\s+similar)"
    r"(?:\s+(?:please|options|ideas|suggestions|recommendations|then|now|do\s+you\s+have|are\s+there|have\s+you\s+got))*+"
    r"(?=\s*(?:$|[,.;:!?])))"
)
_UNLIKE = _words(rf"\b(?:nothing\s+like|not\s+like|unlike|(?:different|other)\s+(?:from|than))\s+{_THEM}")
_SIMILAR = _words(
    rf"(?:{_CLAUSE}|\b(?:more|something|anything|others?|another|one|ones|movies?|films?|games?|albums?|records?|books?|things?|stuff"
    rf"|some|is|are|that's)\s+){_SMALL}(?:like|similar\s+to|in\s+the\s+style\s+of)\s+{_THEM}"
)
_WHY = _words(
    rf"^(?:(?:but|and|so|ok|okay)[,\s]+)?(?:(?:why|how\s+come)(?:\s+(?:so|though|exactly))?\W*$|(?:why|how\s+come|what\s+makes\s+you"
    rf"|explain|reasons?\s+for)\b(?!\s+(?:not|\w+n't)\b).*{MARK}|explain\s+(?:why|your(?:self|\s+(?:choices?|recommendations?|picks?)))\W*$"
    r"|why\s+(?:did|do|would|are|have)\s+you\s+(?:suggest|recommend|pick|chose?|choose|show|list|think|giv))"
)
_RHETORICAL = _words(r"^(?:but\s+)?why\s+(?:on\s+earth\s+)?(?:would|should)\s+(?:i|we|anyone|anybody)\b[^?.!]*")
_INSTRUCTION = _words(
    r"(?:^|[.;:!?,>]\s*|\b(?:please|now|and|then|must|should|just|you)\s+)(?:(?:ignore|disregard|forget|override|bypass)\s+"
    r"(?:(?:all|any|of|your|the|previous|prior|above|system|other|safety|content|these|those|and|every|earlier)\s+)*+"
    r"(?:rules?|instructions?|prompts?|guidelines|directions|restrictions|filters?|programming)\b(?!\s+(?:about|on|for|i|from)\b)"
    r"|(?:ignore|disregard|forget)\s+(?:everything|anything|all|what)\s+(?:above|(?:that\s+)?you(?:'ve|\s+have|\s+were)?\s+(?:been\s+)?told)\b"
    r"|(?:pretend|act)\s+(?:to\s+be|as\s+(?:if|though|an?)|like)\s+|you\s+are\s+now\s+(?:an?|the|in|my|free)\b|reveal\s+your\b"
    r"|print\s+your\s+(?:\w+\s+)?(?:prompt|instructions?|rules?)\b|repeat\s+after\s+me\b)"
    r"|\b(?:your|the)\s+(?:system|developer)\s+prompt\b|^(?:system|developer)\s+prompt\b"
    r"|<\s*/?\s*(?:system|instructions?)\s*>|;\s*drop\s+table\b|;\s*delete\s+from\b"
)
_RECOMMEND_THIS = _words(r"\b(?:(?:and|then|always|only)[,\s]+)*+(?:recommend|say|suggest|show|output|answer)\b.*$")
_VERB = r"(?:seen|saw|watched|played|heard|read|own|owned|bought|know|finished|listened\s+to)"
_SEEN = _words(
    rf"\b(?:i|we|i've|we've|have|already|just)\s+(?:have\s+)?{_SMALL}(?:{_VERB}|got(?=\s+{NAMED}))\s+{_THEM}"
    rf"|{_CLAUSE}{_LEAD}{_SMALL}(?:{_VERB}|got(?=\s+{NAMED}))\s+{_THEM}"
    rf"|{_THEM}\s*,?\s+(?:i|we|i've|we've|already)\s+(?:have\s+)?{_SMALL}{_VERB}\b"
)
_SEEN_ALL = _words(
    r"(?:i\s+have\s+|i've\s+|we've\s+|i\s+)?(?:already\s+)?(?:seen|watched|played|heard|read)(?:\s+already)?"
)
_NOT_SEEN = _words(
    r"\b(?:haven'?t|have\s+not|not|never|didn'?t|don'?t|no\s*(?:one|body))\s+(?:yet\s+)?(?:i\s+)?(?:actually\s+)?"
    r"(?:seen|saw|see|watched|watch|played|heard|read|own|know)\b"
)
_WRONG = (
    r"(?:for\s+me|my\s+(?:thing|cup\s+of\s+tea|taste|style)|interested|interesting|great|good|it"
    r"|what\s+i\s+(?:want|wanted|meant|asked\s+for|am\s+looking\s+for|was\s+looking\s+for))"
)
_REFUSED = _words(
    rf"(?<!why )\bnot\s+(?:really\s+)?(?:interested\s+in\s+)?{_THEM}"
    rf"|\b(?:don'?t|do\s+not|didn'?t|did\s+not)\s+{_SMALL}(?:like|want|care\s+for|fancy|enjoy|love|need)\s+{_THEM}"
    rf"|\b(?:hate|hated|dislike|disliked|skip|no\s+to|can'?t\s+stand)\s+{_THEM}|\b(?:none|neither)\s+of\s+{_THEM}"
    rf"|{_CLAUSE}(?:no[,\s]+)?(?:(?:it|that|this|they|these|those|{_THEM})(?:'s|'re|\s+is|\s+are|\s+was|\s+were|(?=\s+(?:is|are|was)n't))\s+"
    rf"(?:really\s+)?)?(?:not|isn't|aren't|wasn't)\s+(?:quite\s+|really\s+)?{_WRONG}(?=\s*(?:$|[,.;:!?]|but\b|and\b))"
)
_NO = _words(r"(?:no|nope|nah|not\s+(?:quite|really|it)|pass|meh|bad\s+idea)(?:[,.!\s]+(?:thanks|thank\s+you))?")
_GOOD = r"(?:good|great|perfect|interesting|nice|fun|awesome|lovely|amazing|cool)"
_ACCEPTED = _words(
    r"\b(?:i'?ll|i\s+will|let's|we'?ll|i'd|gonna|going\s+to|want\s+to|like\s+to)\s+(?:take|go\s+with|go\s+for|try|watch|play|get|buy|pick"
    rf"|have|choose|listen\s+to|order|see|read)\s+{_THEM}|\b(?:i'd|i\s+would)\s+{_SMALL}(?:like|love|prefer)\s+{_THEM}"
    rf"|{_CLAUSE}(?:(?:oh|ok|okay|yes|yeah|wow)[,\s]+)*+(?:{_THEM}\s+)?(?:sounds?|looks?|seems?)\s+(?:really\s+|very\s+|pretty\s+|so\s+)?{_GOOD}\b"
    rf"|^(?:yes|yeah|ok|okay|sure)[,!\s]+(?:{_THEM}|please|perfect)(?=\s*(?:$|[,.;:!?]|please\b))"
)
_THIS_ONE = _words(rf"(?:please[,\s]+)?{_THEM}(?:[,\s]+please)?\W*")
_ACCEPTED_WHOLE = _words(
    r"perfect|exactly|that'?s\s+(?:the\s+one|perfect|great|it)|deal|sold|(?:great|good|nice)\s+(?:choice|pick|idea|suggestion)s?"
)
_LIKED = _words(
    rf"(?:\b(?:i|we|i've|and|but)\s+{_SMALL}(?:love|loved|like|liked|enjoy|enjoyed|adore|adored)"
    rf"|{_CLAUSE}(?:(?:oh|wow|yes|yeah)[,\s]+)*+{_SMALL}(?:love|loved|liked|enjoyed|adore|adored|like(?=\s+{SINGULAR})))\s+{_THEM}"
)
_INSTEAD = _words(
    rf"\binstead\b(?!\s+of\b)|\brather\s+than\s+that\b|\bon\s+second\s+thoughts?\b|\bchanged\s+my\s+mind\b"
    rf"|{_CLAUSE}{_LEAD}(?:make\s+(?:it|that)|switch\s+to)\b"
)
_BEST = _words(
    r"(?:(?:and|so|but|ok|okay)[,\s]+)?(?:which|what)\b.*\b(?:best|recommend|pick|choose|suggest|favou?rite|prefer)\b.*"
)
_QUESTION = _words(
    r"^(?:(?:and|so|but|ok|okay)[,\s]+)?(?:(?:who|what|when|where|how)'?s?|which|is|are|was|were|does|do|did|has|can|could|tell\s+me"
    r"|describe)\b"
)
_FACT = _words(r"(?:(?:and|so|but)\s+)?(?:who|where|when|did|has|was)\b.*\?$")
_WISH = _words(
    r"^(?:(?:and|so|but|ok|okay)[,\s]+)?(?:(?:what|how)\s+about|what\s+if|do\s+you\s+(?:have|know)|is\s+there|are\s+there|(?:can|could|would)\s+"
    r"(?:you|i|we)\s+(?:please\s+)?(?!tell|say|describe)\w+|can\s+it|could\s+it)\b"
)
_WHAT_IS = _words(
    rf"(?:(?:and|so|but|ok|okay)[,\s]+)?(?:what(?:'s|\s+is|\s+are|\s+about)|how\s+about|tell\s+me(?:\s+about)?|describe)\s+{_THEM}\W*"
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
    (r"(?<!best )(?<!highest )(?<!top )(?<!worst )(?<!lowest )\brated\b"
     r"|\b(certificate|age\s+rating|rating|for\s+(kids|children)|suitable|appropriate)\b", "certificate"),
    (r"\bhow\s+much\b|\bprice\b|\bcosts?\b|\bexpensive\b|\bcheap\b", "price"),
    (r"\bhow\s+long\b|\b(long|short)\s*\?|\blength\b|\bruntime\b|\bduration\b|\bminutes\b", "length"),
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
_IDLE = (word_set("en", "talk") | word_set("en", "function") | {"whats", "start"}) - {"rated"}
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


def items_meant(text: str, titles: Sequence[str], pronouns: bool = True, it: int = 0) -> tuple[int, ...]:
    """Which of the `titles` shown last the text speaks of: by place ("the second one", "#2"), title, "all of them",
    or (with `pronouns`, where it names none) "it", which is the one at the place `it`, and "these".
    """
    found = pointed(text, titles, it)
    named = found.meant(marks=NAMED)
    return named or (found.meant(marks=SINGULAR + PLURAL) if pronouns else ())


def is_foreign(text: str) -> bool:
    """Whether the text is in a language other than English, as far as its letters and little words say."""
    letters = [c for c in text if c.isalpha()]
    if len(letters) >= 3 and sum("LATIN" not in unicodedata.name(c, "LATIN") for c in letters) > len(letters) / 2:
        return True
    words = re.findall(r"[^\W\d_]+", text.lower())
    foreign, english = sum(w in _FOREIGN for w in words), sum(w in _ENGLISH for w in words)
    return foreign >= 2 and foreign > english


def read_act(utterance: str, titles: Sequence[str] = (), it: int = 0, texts: Sequence[str] = ()) -> Act:
    """What sort of utterance this is, given the `titles` of the last list in order; it, texts: see `pointed`."""
    text = clean(utterance)
    bare = re.sub(r"^[\W_]+|[\W_]+$", "", text)
    if not any(c.isalnum() for c in text):
        return Act("empty")
    if _INSTRUCTION.search(text):
        rest = _RECOMMEND_THIS.sub("", _INSTRUCTION.sub(". ", text))
        return Act("instruction", rest=_trimmed(rest))
    for kind, pattern in (("greeting", _GREETING), ("help", _HELP)):
        if pattern.fullmatch(bare):
            return Act(kind)  # type: ignore[arg-type]
    if _SAID_THANKS.search(bare) and _THANKS.fullmatch(bare):
        return Act("thanks")
    if found := _START_OVER.search(text):
        return Act("start over", rest=_around(PointedText(text, (), ()), found))
    instead = bool(_INSTEAD.search(text))
    if titles and (act := _about_items(pointed(text, titles, it, texts), bare, len(titles), instead, it)):
        return act
    if _SMALL_TALK.fullmatch(bare):
        return Act("small talk")
    if titles and (found := _MORE.search(text)):
        return Act("more", rest=_around(PointedText(text, (), ()), found), instead=instead)
    return Act("foreign" if is_foreign(text) else "request", rest=text, instead=instead)


def _about_items(text: PointedText, bare: str, shown: int, instead: bool, it: int) -> Act | None:
    """What `text` says about items that were shown, or None. `bare`: the utterance without marks."""
    everything = tuple(range(shown))
    if found := _RHETORICAL.match(text.text):
        meant = text.meant(*found.span()) or everything
        return Act("refused", meant, rest=_around(text, found), instead=instead)
    if _WHY.match(text.text):
        return Act("why", text.meant() or (it,))
    if _BEST.fullmatch(bare) and _IDLE.issuperset(re.findall(r"\w+", plain(bare))):
        return Act("why", text.meant()[:1] or (0,))  # "which one is best?": what stands first
    if _QUESTION.match(text.text) and (question := _question(text)):
        return question
    if found := _UNLIKE.search(text.text):
        return Act("more", rest=_around(text, found), instead=instead)
    if not _NOT_SEEN.search(text.text) and (found := _SEEN.search(text.text)):
        return Act("seen", text.meant(*found.span()), rest=_around(text, found), instead=instead)
    if _SMALL_TALK.fullmatch(bare) and not _NO.fullmatch(bare):
        return None
    if _SEEN_ALL.fullmatch(bare):
        return Act("seen", everything)
    if _NO.fullmatch(bare):
        return Act("refused", everything)
    if found := _REFUSED.search(text.text):
        meant = text.meant(*found.span()) or everything
        return Act("refused", meant, rest=_around(text, found), instead=instead)
    if _ACCEPTED_WHOLE.fullmatch(bare):
        return Act("accepted", (it,))
    if _THIS_ONE.fullmatch(text.text):
        return Act("accepted", text.meant())
    if found := _ACCEPTED.search(text.text):
        meant, rest = text.meant(*found.span()) or (it,), _around(text, found)
        asks = _asked_about(rest) if _QUESTION.match(rest) else ""  # "sounds good, who's in it"
        return Act("accepted", meant, asks, "" if asks else rest)
    if found := _LIKED.search(text.text):
        return Act("liked", text.meant(*found.span()), rest=_around(text, found))
    if found := _SIMILAR.search(text.text):
        return Act("more", text.meant(*found.span()), rest=_around(text, found), instead=instead)
    return None


def _question(text: PointedText) -> Act | None:
    """A question about an item that was shown, or None."""
    if _WHAT_IS.fullmatch(text.text) and text.meant():
        return Act("question", text.meant())
    if _WISH.match(text.text):
        return None
    asks = _asked_about(text.text)
    if named := text.meant(marks=NAMED):
        return Act("question", named, asks or "unknown") if asks or text.text.endswith("?") else None
    if (asks or _FACT.match(text.text)) and len(text.text.split()) <= 9 and text.meant():
        return Act("question", text.meant(), asks or "unknown")
    return None


def _asked_about(text: str) -> str:
    return next((about for pattern, about in _ABOUT if re.search(pattern, text, re.IGNORECASE)), "")


def _around(text: PointedText, found: re.Match[str]) -> str:
    """What else an utterance says: the clauses before an act, and what follows it ("seen it, something older")."""
    before = re.match(r".*[,.;:!?]\s", text.text[: found.start()])
    opening = _trimmed(text.said(0, before.end())) if before else ""
    if len(opening.split()) < 2 or any(act.fullmatch(opening) for act in (_GREETING, _THANKS, _SMALL_TALK, _NO)):
        opening = ""
    behind = text.text[found.end() :]
    cut = re.match(r"[^,.;:!?]*?(?:[,.;:!?]|\bbut\b|\band\b|\bwith\b)", behind, re.IGNORECASE)
    whole = found.re in (_MORE, _START_OVER)
    after = text.said(found.end() + (cut.end() if cut and not whole else 0)) if cut or whole else ""
    after = re.sub(r"^(?:[^\w(]|(?:but|and|please)\b)+", "", after, flags=re.IGNORECASE)
    return _trimmed(f"{opening}. {after}" if opening and after else opening or after)


def _trimmed(text: str) -> str:
    return " ".join(text.split()).strip(" ,.;:!?-")
