"""The `plot` user: tells what its target is about in sentences of its plot or description, and never names it.

The sentences name nobody: people become "someone", years and the catalogue's own values are not said.
"""

import html
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property

from latentcrs.base.draws import Dice, mixed
from latentcrs.base.words import word_list
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import roles_of
from latentcrs.hear.gazetteer import Gazetteer
from latentcrs.hear.language import key_of, tokenise
from latentcrs.users.conditions import NARRATIVE
from latentcrs.users.dialogue import Dialogue, answer_to
from latentcrs.users.leak import leaks
from latentcrs.users.phrases import capital, talk

_STREAM, _ORDER, _WORDS = 5, 0, 1  # of random numbers
_FIRST = 3  # sentences of a text, any of which may come next
_SOMEBODY = {"he": "a man", "she": "a woman", "they": "some people"}
FEWEST, MOST = 5, 24
"""Words of what is told at once."""
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’]?\s+(?=[\"'“‘]?[A-ZÀ-Þ0-9])")
_ABBREVIATION = re.compile(r"\b(Mrs?|Ms|Dr|St|Ft|Jr|Sr|Prof|Rev|Capt|Lt|Col|Gen|Sgt|Gov|vs|[A-Z])\.")
_CUT = re.compile(r"[,;:] |\s(?=(?:and|but|who|when|while|where|until|after|before|because|so)\s)")
_YEAR = re.compile(r"(?<!\d)(?:1\d|20)\d\d|\d0['’]?s\b|\b\d{3,}\b")
_LED = re.compile(r"^(?:(?:and|but|so|or|yet|then|however|instead|meanwhile|now|soon|also|eventually),?\s+)+", re.I)
_NAMES = re.compile(r"(?P<led>(?:\b[a-zà-ÿ][\w'’-]* ){0,3})(?P<names>[A-ZÀ-Þ][\w'’-]*(?: [A-ZÀ-Þ][\w'’-]*)*)")
_KNOWN_AS = re.compile(r"\b(?:an?|the|his|her|their) (?:[a-z-]+ ){1,2}$|\b(?:named|called|nicknamed) $")
_PLACED = re.compile(r"\b(?:in|near|across|at|to|from) $")
# About the work; or a name was taken out with a trace: an article before it, a noun behind it, a sentence cut short.
_BADLY = re.compile(
    r"\b(?:this|the) (?:film|movie|picture|story|game|book|series|show|album)\b|\?$|\bsomeone someone\b"
    r"|\b(?:the|an?|his|her|their|its|this|that|these) (?:[\w-]+ )?someone\b|\b(?:named|called|nicknamed)\b"
    r"|\bsomeone(?: else)? (?!(?:is|was|has|had|can|will|must|who|and|in|to|from|with|on|at|as|for|of|by|but|or|into"
    r"|out)\b)[a-z-]+(?<!s)(?<!ed)(?<!ing)(?: |$)"
    r"|\b(?:and|or|of|the|an?|with|to|by|but|for|how|his|her|their|in|on|that)$",
    re.IGNORECASE,
)
_STANDING_IN = ("someone", "someone else", "another")
_CAPITAL = word_list("latentcrs.users", "story", "capital")


class PlotUser:
    """Remembers what happens in an item, not what it is: no category value, no year, no names of people or makers.

    The hard case for rules, the fair case for embeddings. It opens with one sentence of the item's text and tells
    another after each refusal, until none is left. Where an item has no text it says that it cannot tell. A sentence
    is a function of (seed, user, cut), of the target, and of what was shown before.
    """

    def __init__(self, dataset: PreparedDataset, seed: int = 0) -> None:
        self.name = f"plot (seed {seed})" if seed else "plot"
        self.seed, self._dataset = seed, dataset
        self._titles: list[str | None] = dataset.items["title"].to_list()
        self._told = cache(StoryReader(dataset).told)

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """See `SimulatedUser.speak`."""
        for dialogue in dialogues:
            attempts = self._attempts(dialogue)
            said = next(one for one in (*attempts, "I don't know.", "Hm.") if not self._leaks(one, dialogue.target))
            dialogue.leaks += said != attempts[0]
            dialogue.said.append(said)

    def has_something_to_tell(self, item: int) -> bool:
        """Whether the text of `item` has a sentence that may be said."""
        return any(not self._leaks(sentence, item) for sentence in self._told(item))

    def _leaks(self, text: str, item: int) -> bool:
        return leaks(text, self._titles[item])

    def _attempts(self, dialogue: Dialogue) -> list[str]:
        """What may be said next, the best first."""
        turn, frames, target = len(dialogue.said), talk()["plot"], dialogue.target
        dice, shown = self._dice(dialogue, _WORDS, turn), dialogue.shown[-1] if dialogue.shown else None
        answers = [""]
        if shown is not None and shown.question is not None:
            true = answer_to(shown.question, self._dataset, target)
            answers = _from_a_random_one(frames["forgotten" if true is None else "yes" if true else "no"], dice)
            if not shown.items:
                return answers
        # What was told is counted, not noted: a turn tells something unless it only answered a question.
        told = sum(1 for before in dialogue.shown[:turn] if before.items or before.question is None)
        order = self._order(dialogue)
        if told < len(order):
            dialogue.leaks += len(self._told(target)) - len(order) if told == 0 else 0
            first, _, rest = order[told].partition(" ")
            # Nobody was spoken of before the opening.
            words = f"{_SOMEBODY[first]} {rest}" if turn == 0 and first in _SOMEBODY else order[told]
            frame = "{s}" if answers[0] else dice.pick(frames["opening" if turn == 0 else "more"])
            attempts = [_sentence(each.replace("{s}", words)) for each in (frame, "{s}")]
        else:
            choices = _from_a_random_one(frames["nothing_known" if turn == 0 else "nothing_left"], dice)
            attempts = [each for each in choices if each not in dialogue.said] or choices
        return [f"{answers[0]} {attempt}".strip() for attempt in attempts]

    def _order(self, dialogue: Dialogue) -> list[str]:
        """The sentences that may be said, as they are told: roughly from the beginning, as one remembers a story."""
        dice = self._dice(dialogue, _ORDER, 0)
        rest = [sentence for sentence in self._told(dialogue.target) if not self._leaks(sentence, dialogue.target)]
        return [rest.pop(dice.below(min(len(rest), _FIRST))) for _ in range(len(rest))]

    def _dice(self, dialogue: Dialogue, use: int, turn: int) -> Dice:
        key = mixed(self.seed, _STREAM, dialogue.user, dialogue.cut, dialogue.target, use, turn)
        return Dice(int(key[0]))


def _from_a_random_one(sentences: Sequence[str], dice: Dice) -> list[str]:
    """All `sentences` with their stops, from a random one on: the title "A Night to Remember" rules some out."""
    start = dice.below(len(sentences))
    return [_sentence(each) for each in [*sentences[start:], *sentences[:start]]]


def _sentence(text: str) -> str:
    """`text` with a capital and a stop."""
    return capital(text if text.endswith(("?", "!", ".")) else f"{text}.")


class StoryReader:
    """Reads the free text of one data set's items."""

    def __init__(self, dataset: PreparedDataset) -> None:
        stories = [column for column, role in roles_of(dataset.info.columns).items() if role == "story"]
        self._texts = dataset.items.select([column for column in stories if NARRATIVE.search(column)] or stories)
        self._gazetteer = Gazetteer(dataset.items, dataset.info.columns)

    def told(self, item: int) -> tuple[str, ...]:
        """What the first text of `item` tells, in order: sentences or beginnings, no stop, few capitals."""
        texts = [text for text in self._texts.row(item) if text] if self._texts.width else []
        return next(filter(None, (tuple(dict.fromkeys(self._sentences(text))) for text in texts)), ())

    def _sentences(self, text: str) -> list[str]:
        text = re.sub(r"[\"“][A-Z][^\"”]*[\"”]|\([^()]*\)|\[[^\[\]]*\]|<[^>]*>", " ", html.unescape(text))
        text = _ABBREVIATION.sub(r"\1", re.sub(r"\s-+\s|-{2,}|[–—]|\.{3,}|…", ", ", text))
        text = re.sub(r"(?<!\w)['‘\"“]|[\"”“*]|(?<!s)['’](?!\w)", "", text)
        sentences = [_LED.sub("", " ".join(part.split()).strip(" .!,;:")) for part in _SENTENCE.split(text)]
        told = [said for sentence in sentences if (said := self._said(_shortened(sentence)))]
        # Where no sentence can be said, a part of one may be.
        return told or [said for sentence in sentences for part in _CUT.split(sentence) if (said := self._said(part))]

    def _said(self, sentence: str) -> str:
        """`sentence` without names; "" where it would read badly, or say a year, a column's value or a person."""
        said, known = self._without_names(sentence), self._gazetteer
        if not FEWEST <= len(said.split()) <= MOST or _BADLY.search(said) or _YEAR.search(said):
            return ""
        words = [token.word for token in tokenise(said).tokens]
        runs = [words[at : at + length] for length in (1, 2, 3) for at in range(len(words) - length + 1)]
        keys = [(key_of(" ".join(run)), len(run)) for run in runs]
        return "" if any(key in known.values or (size > 1 and key in known.names) for key, size in keys) else said

    def _without_names(self, text: str) -> str:
        """`text` with "someone" for whoever is named, and nothing where it is said who that is: "his neighbour"."""
        first, _, rest = text.partition(" ")
        if first not in _CAPITAL and self._written[first.lower()] >= max(self._written[first], 1):  # small elsewhere
            text = f"{first.lower()} {rest}"
        met: dict[str, str] = {}

        def mask(match: re.Match[str]) -> str:
            led, names = match["led"], match["names"]
            if all(
                word in _CAPITAL or (word.isupper() and len(word) <= 4) for word in names.split()
            ) or _PLACED.search(led):
                return match[0]
            if _KNOWN_AS.search(led):
                return re.sub(r"(?:named|called|nicknamed) $", "", led)
            owning = re.search(r"['’]s?$", names)
            who = met.setdefault(re.sub(r"['’]s?$", "", names.split()[0]), _STANDING_IN[min(len(met), 2)])
            return f"{led}{who}{chr(39) + 's' if owning else ''}"

        return re.sub(r" (?=[,;:.!?])|(?<= ) +", "", _NAMES.sub(mask, text)).strip(" ,;:")

    @cached_property
    def _written(self) -> Counter[str]:
        """How often the texts have each word within their sentences, as it is written."""
        texts: list[str] = self._texts.to_series().drop_nulls().to_list() if self._texts.width else []
        return Counter(word for text in texts for word in re.findall(r"(?<=[\wà-ÿ,;] )[^\W\d_][\w'’-]*", text))


def _shortened(sentence: str) -> str:
    """`sentence`, or of a long one the longest beginning that ends at a comma or before a conjunction."""
    if len(sentence.split()) <= MOST:
        return sentence
    cuts = [m.start() for m in _CUT.finditer(sentence) if FEWEST <= len(sentence[: m.start()].split()) <= MOST]
    return sentence[: cuts[-1]] if cuts else " ".join(sentence.split()[:MOST])
