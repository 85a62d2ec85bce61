"""What an item's plot or description tells, as sentences that name nobody: people become "someone", years and the
catalogue's own values are not said.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from functools import cached_property

import polars as pl

from latentcrs.base.words import word_list
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import roles_of
from latentcrs.hear.gazetteer import Gazetteer
from latentcrs.hear.language import key_of, tokenise
from latentcrs.users.leak import FUNCTION_WORDS

FEWEST, MOST = 5, 24
"""Words of what is told at once."""
NARRATIVE = r"plot|synopsis|overview|storyline|summary"
"""Names of columns that tell what happens; another text speaks about the item."""
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’]?\s+(?=[\"'“‘]?[A-ZÀ-Þ0-9])")
_ABBREVIATION = re.compile(r"\b(Mrs?|Ms|Dr|St|Ft|Jr|Sr|Prof|Rev|Capt|Lt|Col|Gen|Sgt|Gov|vs|[A-Z])\.")
_CUT = re.compile(r"[,;:] |\s(?=(?:and|but|who|when|while|where|until|after|before|because|so)\s)")
_TOKEN = re.compile(r"[^\W_]+(?:['’\-&][^\W_]+)*['’]?|[^\w\s]")
_YEAR = re.compile(r"(?<!\d)(?:1\d|20)\d\d|\d0['’]?s\b|\b\d{3,}\b")
_LED = re.compile(
    r"^(?:(?:and|but|so|or|yet|then|however|instead|meanwhile|now|soon|also|eventually),?\s+)+", re.IGNORECASE
)
_ABOUT_WORK = re.compile(r"\b(?:this|the) (?:film|movie|picture|story|game|book|series|show|album)\b", re.IGNORECASE)
_BADLY = re.compile(
    r"\b(?:the|an?|his|her|their|its|this|that|these) (?:[\w-]+ )?someone\b|\bsomeone someone\b"
    r"|\bsomeone(?: else)? (?!(?:is|was|has|had|can|will|must|who|and|in|to|from|with|on|at|as|for|of|by|but|or|into"
    r"|out)\b)[a-z-]+(?<!s)(?<!ed)(?<!ing)(?: |$)"
    r"|\b(?:and|or|of|the|an?|with|to|by|but|for|how|his|her|their|in|on|that)$"
)
"""What no name can be taken out of without a trace: adjectives before it, a noun behind it, a sentence cut short."""
_STANDING_IN = ("someone", "someone else", "another")
_CAPITAL = frozenset(word_list("latentcrs.users", "story", "capital"))
_DETERMINERS = frozenset(word_list("latentcrs.users", "story", "determiners"))
_PLACED = frozenset({"in", "near", "across", "at", "to", "from"})
_NAMED = frozenset({"named", "called", "nicknamed"})


class StoryReader:
    """Reads the free text of one data set's items."""

    def __init__(self, dataset: PreparedDataset) -> None:
        stories = [column for column, role in roles_of(dataset.info.columns).items() if role == "story"]
        narrative = [column for column in stories if re.search(NARRATIVE, column.lower())]
        self._texts = dataset.items.select(narrative or stories)
        self._gazetteer = Gazetteer(dataset.items, dataset.info.columns)
        self._read: dict[int, tuple[str, ...]] = {}

    def told(self, item: int) -> tuple[str, ...]:
        """What the first text of `item` tells, in order: a sentence or the beginning of one each, without a stop, and
        with a capital only where a name has one.
        """
        if item not in self._read:
            texts = [text for text in self._texts.row(item) if text] if self._texts.width else []
            self._read[item] = next(filter(None, (tuple(dict.fromkeys(self._sentences(text))) for text in texts)), ())
        return self._read[item]

    def _sentences(self, text: str) -> list[str]:
        text = re.sub(r"[\"“][A-Z][^\"”]*[\"”]|\([^()]*\)|\[[^\[\]]*\]|<[^>]*>", " ", html.unescape(text))
        text = _ABBREVIATION.sub(r"\1", re.sub(r"\s-+\s|-{2,}|[–—]|\.{3,}|…", ", ", text))
        text = re.sub(r"(?<!\w)['‘\"“]|[\"”“*]|(?<!s)['’](?!\w)", "", text)
        sentences = [_LED.sub("", sentence.strip(" .!,;:")) for sentence in _SENTENCE.split(text)]
        told = [said for sentence in sentences if (said := self._said(_shortened(sentence)))]
        # Where no sentence can be said, a part of one may be.
        return told or [said for sentence in sentences for part in _CUT.split(sentence) if (said := self._said(part))]

    def _said(self, sentence: str) -> str:
        """`sentence` without names; "" where it would read badly then, or say what may not be said."""
        said = self._without_names(sentence)
        badly = said.endswith("?") or _BADLY.search(said) or _ABOUT_WORK.search(said)
        fits = FEWEST <= len(said.split()) <= MOST
        return said if fits and not badly and not self._says_a_value(said) else ""

    def _says_a_value(self, text: str) -> bool:
        """Whether a year, a value of the catalogue's columns, or the whole name of one of its people is in it."""
        words, known = [token.word for token in tokenise(text).tokens], self._gazetteer
        runs = [words[at : at + length] for length in (1, 2, 3) for at in range(len(words) - length + 1)]
        keys = [(key_of(" ".join(run)), len(run)) for run in runs]
        return bool(_YEAR.search(text)) or any(
            key in known.values or (length > 1 and key in known.names) for key, length in keys
        )

    def _without_names(self, text: str) -> str:
        """`text` with "someone" for whoever is named."""
        tokens, out, met, at = _TOKEN.findall(text), list[str](), dict[str, str](), 0
        while at < len(tokens):
            if not self._is_name(tokens[at], at == 0):
                out.append(tokens[at].lower() if at == 0 and tokens[at] not in _CAPITAL else tokens[at])
                at += 1
                continue
            end = at + 1
            while end < len(tokens) and tokens[end][:1].isupper() and not _owning(tokens[end - 1]):
                end += 1
            before, behind = (out[-1].lower() if out else ""), (tokens[end] if end < len(tokens) else "")
            if before in _NAMED:
                out.pop()
            elif before in _PLACED and not _owning(tokens[end - 1]):
                out += tokens[at:end]  # where it happens may be said
            elif not (
                self._is_known_as(out)
                or (before in _DETERMINERS and behind.islower() and behind not in FUNCTION_WORDS)
            ):
                who = re.sub(r"['’]s?$", "", tokens[at])
                met.setdefault(who, _STANDING_IN[min(len(met), 2)])
                out.append(met[who] + ("'s" if _owning(tokens[end - 1]) else ""))
            at = end
        return re.sub(r" ([,;:.!?])", r"\1", " ".join(out)).strip(" ,;:")

    def _is_known_as(self, out: list[str]) -> bool:
        """Whether what stands before a name says who it is: "his neighbour", "a lonely plumber"."""
        words = [word.lower() for word in out[-3:]]
        noun = bool(words) and words[-1].isalpha() and self._small[words[-1]] > 0 and words[-1] not in _DETERMINERS
        return (
            noun and not words[-1].endswith(("s", "ed", "ing")) and any(word in _DETERMINERS for word in words[:-1])
        )

    def _is_name(self, token: str, first: bool) -> bool:
        """Whether a capitalised word names somebody or something: the texts write it so within sentences, too."""
        word = re.sub(r"['’]s?$", "", token)
        if not word[:1].isupper() or word in _CAPITAL or (word.isupper() and len(word) <= 4 and not first):
            return False
        small, capital = self._small[word.lower()], self._capital[word.lower()]
        return capital > small or not small if first else capital >= small

    @cached_property
    def _small(self) -> Counter[str]:
        return self._counted(r"\b[a-zà-ÿ][\wà-ÿ\-]*")

    @cached_property
    def _capital(self) -> Counter[str]:
        return self._counted(r"[\wà-ÿ,;] [A-ZÀ-Þ][\wÀ-ÿ\-]*")

    def _counted(self, pattern: str) -> Counter[str]:
        """How often the texts have what matches `pattern`, by its last word."""
        if not self._texts.width:
            return Counter()
        texts = self._texts.select(text=pl.col(self._texts.columns[0])).drop_nulls()
        found = texts.select(word=pl.col("text").str.extract_all(pattern)).explode("word").drop_nulls()
        found = found.select(pl.col("word").str.replace(r"^.* ", "").str.to_lowercase())
        return Counter(dict(found["word"].value_counts().iter_rows()))


def _is_noun(token: str) -> bool:
    return token.islower() and token.isalpha() and token not in FUNCTION_WORDS


def _owning(token: str) -> bool:
    return bool(re.search(r"['’]s?$", token))


def _shortened(sentence: str) -> str:
    """`sentence`, or of a long one the longest beginning that ends at a comma or before a conjunction."""
    if len(sentence.split()) <= MOST:
        return sentence
    cuts = [m.start() for m in _CUT.finditer(sentence) if FEWEST <= len(sentence[: m.start()].split()) <= MOST]
    return sentence[: cuts[-1]] if cuts else " ".join(sentence.split()[:MOST])
