"""The `llm` user: a chat model plays somebody who wants one item, from its description without the title.

The role-play prompt of section 5.1 of the paper. The model's own words go into the conversation only when they pass
the leak check, say something, and were not said before.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from textwrap import shorten

from latentcrs.base.draws import Dice, mixed
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.nouns import NOUNS, guess_noun
from latentcrs.data.roles import roles_of
from latentcrs.llm.embedded import is_in_process
from latentcrs.llm.ledger import remembered
from latentcrs.llm.model import Call, ChatModel, ChatRequest, Message, ModelError
from latentcrs.llm.prompts import prompt
from latentcrs.users.dialogue import Dialogue, SystemTurn
from latentcrs.users.leak import blanked, leaks
from latentcrs.users.phrases import capital, talk

SPOKEN = "spoken.sqlite"
"""The file beside a prepared data set's own in which what models said is kept: one generation for every system."""
HISTORY, TEXT, VALUES = 6, 600, 4  # titles, characters of free text, values of a column that the prompt has
MAX_TOKENS = 80
_TEMPERATURES = (0.7, 0.9, 1.1)  # one per attempt
_AT_ONCE = 8
_STREAM = 6  # of random numbers
_BLANK = "___"
_MASK = re.compile(r"\W*(?:\b(?:the|an?) )?___(?:\W*___)*['\"”’]?")
_SPEAKER = re.compile(
    r"^\W*(?:user|me|you|i say|person|customer|human|assistant|answer|response)\s*:\s*|^\s*\d+[.)]\s+", re.IGNORECASE
)
_QUOTES = "\"'“”‘’«»`*_ "


class RolePlayUser:
    """Played by `model`; what it said is kept in the data set's folder, so that all systems hear the same words.

    A sentence that leaks, is empty or was said before is asked for anew, three times in all, then masked, then put
    neutrally. `failed` counts calls without a usable answer, `last_error` is the newest of these.
    """

    def __init__(self, dataset: PreparedDataset, model: ChatModel, seed: int = 0) -> None:
        self.name = f"llm:{model.id}" + (f" (seed {seed})" if seed else "")
        self.seed, self.failed = seed, 0
        self.last_error: ModelError | None = None
        self._dataset = dataset
        self._model = remembered(model, dataset.path / SPOKEN)
        self._titles: list[str | None] = dataset.items["title"].to_list()
        roles = roles_of(dataset.info.columns)
        stories = [column for column, role in roles.items() if role == "story"]
        self._roles = {column: role for column, role in roles.items() if role != "story" or column == stories[0]}
        # The embedded model answers one call at a time, and a call's time-out runs while it waits for the others.
        self._at_once = 1 if is_in_process(model.id) else _AT_ONCE
        noun = NOUNS.get(guess_noun(dataset)) or NOUNS[""]
        self._thing = noun.words[0] if noun.words else "product"

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """See `SimulatedUser.speak`. A failing model is no error here: a neutral sentence stands in."""
        with ThreadPoolExecutor(max_workers=self._at_once) as pool:
            spoken = list(pool.map(self._sentence, dialogues))
        for dialogue, (sentence, leaked, error) in zip(dialogues, spoken, strict=True):
            dialogue.said.append(sentence)
            dialogue.leaks += leaked
            if error is not None:
                self.failed += 1
                self.last_error = error

    def messages(self, dialogue: Dialogue) -> list[Message]:
        """What the model reads before the next sentence of `dialogue`. The target's title is not in it."""
        target = self._titles[dialogue.target]
        newest = [self._titles[item] for item in dialogue.history[-HISTORY:].tolist()]
        history = [title for title in newest if title and not leaks(title, target)]  # not a film before its sequel
        role = prompt("user", thing=self._thing, history=history, facts=self._facts(dialogue.target))
        found = [Message("system", role), Message("user", prompt("user_asked", first=True, thing=self._thing))]
        for said, shown in zip(dialogue.said, dialogue.shown, strict=False):
            found += [Message("assistant", said), Message("user", self._asked(shown, dialogue.target))]
        return found

    def _sentence(self, dialogue: Dialogue) -> tuple[str, int, ModelError | None]:
        """The next sentence, how many before it leaked, and the error where the model had none."""
        turn, title = len(dialogue.said), self._titles[dialogue.target]
        call = Call("role-play", f"{dialogue.user}:{dialogue.cut}", turn)
        keys = mixed(self.seed, _STREAM, dialogue.user, dialogue.cut, turn, range(len(_TEMPERATURES) + 1)).tolist()
        messages, leaked, masked, error = self.messages(dialogue), 0, "", None
        for key, temperature in zip(keys, _TEMPERATURES, strict=False):
            request = ChatRequest(messages, call, max_tokens=MAX_TOKENS, temperature=temperature, seed=key % 2**31)
            try:
                sentence, error = spoken_line(self._model.complete(request).text), None
            except ModelError as found:
                error = found
                if found.outcome == "empty":
                    continue
                break
            if leaks(sentence, title):
                leaked += 1
                masked = _MASK.sub(" something", blanked(sentence, title, _BLANK)).strip()
            elif _says_something_new(sentence, dialogue.said):
                return sentence, leaked, None
        if _says_something_new(masked, dialogue.said):
            return masked, leaked, None
        return self._neutral(dialogue, Dice(keys[-1])), leaked, error

    def _neutral(self, dialogue: Dialogue, dice: Dice) -> str:
        """A sentence without information that does not leak ("it" may be a title), and a new one if there is any."""
        words = talk()["turns"]["more"] if dialogue.said else talk()["plot"]["nothing_known"]
        choices = [text for text in words if not leaks(text, self._titles[dialogue.target])]
        return capital(dice.pick([one for one in choices if capital(one) not in dialogue.said] or choices or ["no."]))

    def _facts(self, item: int) -> list[str]:
        """The item's columns and text, a line each, the words of its title blanked out."""
        row = self._dataset.items.row(item, named=True)
        lines = []
        for column, role in sorted(self._roles.items(), key=lambda pair: pair[1] == "story"):
            values = row[column] if isinstance(row[column], list) else [] if row[column] is None else [row[column]]
            words = ", ".join(str(value).removesuffix(".0") for value in values[:VALUES])
            words = shorten(words, TEXT, placeholder=" ...") if role == "story" else words
            lines += [f"{column}: {blanked(words, self._titles[item], _BLANK)}"] if words else []
        return lines or ["nothing is known about it"]

    def _asked(self, shown: SystemTurn, target: int) -> str:
        """What was shown and asked, the words of the target's title blanked out."""
        titles = [blanked(self._titles[item] or "(untitled)", self._titles[target], _BLANK) for item in shown.items]
        asked, question = shown.question, ""
        if asked is not None:
            question = f"Is the {asked.column} {asked.value}?" if asked.value else f"Which {asked.column}?"
        return prompt(
            "user_asked", first=False, titles=titles, question=blanked(question, self._titles[target], _BLANK)
        )


def spoken_line(text: str) -> str:
    """A model's answer as a line of a chat: at most two whole sentences, no quotation marks, no "User:"."""
    line = next((line for line in text.splitlines() if re.search(r"\w", line)), "")
    line = _SPEAKER.sub("", line.replace(_BLANK, " ")).strip(_QUOTES)
    line = re.sub(r"\s+([.,!?])", r"\1", " ".join(line.split()))
    sentences = re.findall(r".+?[.!?…]+(?=\s|$)|.+$", line)
    if len(sentences) > 1 and not re.search(r"[.!?…]$", sentences[-1]):
        sentences = sentences[:-1]
    line = " ".join(sentence.strip() for sentence in sentences[:2]).strip(_QUOTES)
    return f'{line}"' if line.count('"') % 2 else line


def _says_something_new(sentence: str, said: Sequence[str]) -> bool:
    echo = sentence.lower().startswith(("the system shows", "the system asks", "none of them is what you"))
    bare, *before = (re.sub(r"\W+", " ", text.lower()).strip() for text in (sentence, *said))
    return not echo and len(re.findall(r"[^\W\d_]{2,}", sentence)) >= 2 and bare not in before
