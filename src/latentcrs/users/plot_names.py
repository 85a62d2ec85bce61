"""The people of a plot in words that name nobody: "a man", "his daughter", "two people"."""

from __future__ import annotations

import re
from collections import Counter

from latentcrs.users.plot_words import DETERMINERS, STANDING_IN, STOPS, WordHabits, bare, owning_form, words


class PeopleInText:
    """The people of one text, by what is said of them."""

    def __init__(self, habits: WordHabits, sentences: list[list[str]]) -> None:
        self._habits = habits
        self._gender: dict[str, str] = {}
        votes: dict[str, Counter[str]] = {}
        self._people: set[str] = set()
        for tokens in sentences:
            found = set()
            for at, token in enumerate(tokens):
                stripped = bare(token)
                if not habits.is_name(stripped, at == 0):
                    continue
                found.add(stripped)
                before = tokens[at - 1].lower() if at else ""
                if before not in words("clauses", "places") and before != "the" and not habits.is_place(stripped):
                    self._people.add(stripped)
            lower = [token.lower() for token in tokens]
            he = sum(lower.count(word) for word in ("he", "his", "him", "himself"))
            she = sum(lower.count(word) for word in ("she", "her", "herself"))
            if len(found & self._people) == 1 and he != she:
                votes.setdefault(next(iter(found & self._people)), Counter())["man" if he > she else "woman"] += 1
        for name, counts in votes.items():
            self._gender[name] = counts.most_common(1)[0][0]

    def gender(self, name: str) -> str:
        """ "man", "woman", or "" where nothing tells."""
        first = name.lower()
        if first in words("people", "male"):
            return "man"
        if first in words("people", "female"):
            return "woman"
        return self._gender.get(name) or ("woman" if first.endswith("a") else "")

    def put_intowords(self, tokens: list[str]) -> list[str] | None:
        """`tokens` without names of people; None where that cannot be done well."""
        out: list[str] = []
        met: dict[str, str] = {}
        at = 0
        while at < len(tokens):
            token = tokens[at]
            first = at == 0
            if not self._named(token, first):
                out.append(self._small(token, first))
                at += 1
                continue
            end = at + 1
            while end < len(tokens) and tokens[end][:1].isupper() and not owning_form(tokens[end - 1]):
                end += 1
            ranks = [k for k in range(at, end - 1) if tokens[k].lower() in words("people", "nouns")]
            if ranks:  # "Police Captain Moretti"
                out += [token.lower() for token in tokens[at : ranks[-1] + 1]]
                at = ranks[-1] + 1
            if not self._stand_in(tokens, at, end, out, met):
                return None
            at = end
        return _several(out)

    def _named(self, token: str, first: bool) -> bool:
        stripped = bare(token)
        if not token[:1].isupper() or stripped.lower() in words("people", "nouns"):
            return False
        return self._habits.is_name(stripped, first) and (stripped in self._people or not first)

    def _small(self, token: str, first: bool) -> str:
        kept = token in words("people", "kept") or bare(token) in words("people", "kept")
        if not token[:1].isupper() or kept or (token.isupper() and 1 < len(token) <= 4 and not first):
            return token
        return token.lower()

    def _stand_in(self, tokens: list[str], at: int, end: int, out: list[str], met: dict[str, str]) -> bool:
        """Put what stands for the name `tokens[at:end]` behind `out`; False where nothing would read well."""
        before = out[-1].lower() if out else ""
        after = tokens[end].lower() if end < len(tokens) else ""
        owning = owning_form(tokens[end - 1])
        name = bare(tokens[end - 1] if tokens[at].lower() in words("people", "titles") else tokens[at])
        if tokens[at].lower() in ("mr", "sir", "lord", "mrs", "ms", "miss", "lady", "madame"):
            self._gender[name] = "man" if tokens[at].lower() in ("mr", "sir", "lord") else "woman"
        if self._is_institution(tokens[at:end]):
            out += tokens[at:end]
            return True
        if before in DETERMINERS and after.isalpha() and self._can_go(after) and not owning:
            return True  # "the Larrabee family"
        if before in words("clauses", "places") or (
            before in ("the", "to", "from", "of") and not (set(map(bare, tokens[at:end])) & self._people)
        ):
            if name in self._people and not self._habits.is_place(name):
                return self._person(name, owning, out, met)
            out += tokens[at:end]
            return True
        nouns = words("people", "nouns")
        if before in ("named", "called", "nicknamed") and not owning:
            out.pop()
            return True
        if before == "by" and len(out) > 1 and out[-2] == "played":
            return False
        if before in words("people", "titles"):
            out.pop()
            before = out[-1].lower() if out else ""
        if before in nouns:
            if owning:
                out[-1] += "'s"
            return _articled(out)
        lone = before == "," and len(out) > 1 and after in (",", ".", "") and not owning
        if lone and out[-2].isalpha() and not self._habits.is_verb(out[-2]) and out[-2] not in STANDING_IN:
            out.pop()  # "his lover, Samy, ..."
            if after == ",":
                tokens[end] = ""
            return True
        if after == "," and end + 1 < len(tokens) and not owning:
            apposition = tokens[end + 1].lower()
            if apposition in ("a", "an", "the", "his", "her") and self._free(before):
                tokens[end] = ""
                return True
            if apposition in nouns and self._free(before):
                tokens[end] = "an" if apposition[0] in "aeiou" else "a"
                return True
        if before in words("people", "adjectives") and (
            len(out) == 1 or out[-2] in STOPS or self._free(out[-2].lower())
        ):
            gender = self.gender(name) or "person"
            if before in ("teenage", "teenaged", "little", "teen-age") and gender != "person":
                gender = "boy" if gender == "man" else "girl"
            adjective = out.pop()
            out += ["an" if adjective[0] in "aeiou" else "a", adjective, gender + ("'s" if owning else "")]
            return True
        if before == "," and len(out) > 1 and out[-2].split("'")[0] in STANDING_IN:
            return False  # a list, or "Nome, Alaska"
        return self._free(before) and self._person(name, owning, out, met)

    def _free(self, before: str) -> bool:
        """Whether somebody can come behind the word `before`."""
        return (
            before in ("", ",", ";", ":") or before in words("clauses", "before_name") or self._habits.is_verb(before)
        )

    def _is_institution(self, name: list[str]) -> bool:
        """Whether a name of several words is that of a place or a house: it may stay."""
        if set(map(bare, name)) & self._people and bare(name[-1]) not in words("clauses", "place_ends"):
            return False
        return len(name) > 1 and (
            bare(name[-1]) in words("clauses", "place_ends")
            or any(self._habits.is_place(bare(word)) for word in name)
        )

    def _can_go(self, after: str) -> bool:
        """Whether the word behind a name is a noun, as far as can be told, so that the name can be left out."""
        others = words("clauses", "boundaries"), words("clauses", "before_name"), words("clauses", "dangling")
        return not self._habits.is_verb(after) and not any(after in words for words in others)

    def _person(self, name: str, owning: bool, out: list[str], met: dict[str, str]) -> bool:
        if name not in met:
            word = {"man": "a man", "woman": "a woman", "": "someone"}[self.gender(name)]
            if word in met.values():
                word = {"a man": "another man", "a woman": "another woman", "someone": "someone else"}[word]
            if word in met.values() or len(met) == 2:
                return False
            met[name] = word
            words = word
        else:
            words = met[name].replace("a man", "the man").replace("a woman", "the woman")
            words = words.replace("another", "the other")
        out += (words + ("'s" if owning else "")).split(" ")
        return True


def _articled(out: list[str]) -> bool:
    """Give the noun for a person at the end of `out` an article where it has none: "a garbage man"."""
    back = len(out) - 1
    while back > 0 and len(out) - back < 5:
        before = out[back - 1].lower()
        if before in DETERMINERS or before in ("two", "one", "my", "our"):
            return True
        if before.endswith(("'s", "s'")):
            return True
        if before in STOPS or before in words("clauses", "before_name"):
            break
        back -= 1
    if len(out) - back >= 5:
        return False
    out.insert(back, "an" if out[back][0].lower() in "aeiou" else "a")
    return True


def _several(out: list[str]) -> list[str]:
    """People side by side as one: "a man and a woman" stays, "someone and someone else" is "two people"."""
    line = " ".join(token for token in out if token)
    line = re.sub(r"\b(?:a man|someone) and (?:another man|someone else)\b(?!')", "two people", line)
    line = re.sub(r"^two people", "two people", line)
    return line.split(" ") if line else []
