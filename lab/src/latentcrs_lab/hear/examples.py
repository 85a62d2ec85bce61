"""Made-up sentences to train the heads of `hear` with: carriers filled with words, whose stance is known."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from latentcrs.hear.language import tokenise
from latentcrs.users.phrases import talk

FILLINGS = {"genre": 3, "person": 3, "year": 2, "number": 3, "rating": 1, "pair": 4, "title": 3, "simulated": 1}
_GENRES = (
    "comedy;horror movies;action movies;a thriller;romantic comedies;sci-fi;a western;war movies;dramas;"
    "animated movies;"
    "musicals;a horror film;scary movies;fantasy;documentaries;mysteries;crime movies;adventure movies;comedies;"
    "thrillers;sci fi;romance;horror;action;funny movies;kids movies;westerns;cartoons;film noir;something funny;"
    "sneakers;black shoes;jackets;jazz albums;puzzle games;books;rock music;red dresses;Nike shoes"
).split(";")
_PEOPLE = (
    "Tom Hanks;Jim Carrey;Julia Roberts;Adam Sandler;Steven Spielberg;Brad Pitt;Meg Ryan;Alfred Hitchcock;jim carrey;"
    "tom hanks;Bruce Willis;nicolas cage;Sandra Bullock;Tarantino;Will Smith"
).split(";")
_YEARS = "90s;80s;1990s;seventies;1950s;60s;eighties;70's".split(";")
_NUMBERS = (
    "under 100;less than 50 euros;4 stars or more;between 20 and 50;size 42;in stock;below $30;up to 20 dollars;"
    "rated above 4;"
    "at most 100 euros;under two hours;no more than ten dollars;over 300 pages;available;for 25 bucks;size 9"
).split(";")
_RATINGS = "PG-13;R;PG;G;pg-13;NC-17".split(";")
_TITLES = (
    "The Matrix;Titanic;Toy Story;jaws;the godfather;Pulp Fiction;Alien;Big;Heat;Se7en;The Lion King;Fargo;psycho;"
    "Jurassic Park (1993);Shrek (2001);Black Panther (2018);It;Get Out;the notebook;Star Wars;Rocky;Mulan;"
    "Dumb and Dumber;"
    "Superbad;La La Land;Frozen (2013);Inception;that one;it;that movie;this one;the first one;the second one;both;"
    "them"
).split(";")
_OPENINGS = (
    *[""] * 5, "Hi! ", "Hello, ", "Ok. ", "yes, ", "That one was good. ", "I have not seen that. ", "Thanks! ",
)  # fmt: skip
_SMALL = frozenset("a the movies movie films film something".split())


@dataclass(frozen=True)
class Example:
    """One thing to learn. head: which. first, last: the words of the mention (0, 0 for the utterance). said: its
    label, or several. group: the message or dialogue it is from, "" for made ones.
    """

    head: str
    text: str
    first: int
    last: int
    said: tuple[str, ...]
    reply: str = ""
    group: str = ""
    weight: float = 1.0


def made(seed: int = 0) -> list[Example]:
    """Examples of the carriers, and of the simulator's patterns."""
    book = tomllib.loads(resources.files("latentcrs_lab.hear").joinpath("carriers.toml").read_text("utf-8"))
    dice = random.Random(seed)
    fillers = {
        "number": _NUMBERS,
        "genre": _GENRES,
        "person": _PEOPLE,
        "year": _YEARS,
        "title": _TITLES,
        "rating": _RATINGS,
    }
    out: list[Example] = []

    def add(head: str, carrier: str, slots: Mapping[str, tuple[str, str]]) -> None:
        text, spans = _filled(carrier, {name: filler for name, (filler, _) in slots.items()}, dice)
        line = tokenise(text)
        for name, (_, said) in slots.items():
            inside = [n for n, t in enumerate(line.tokens) if t.end > spans[name][0] and t.start < spans[name][1]]
            while head == "stance" and len(inside) > 1 and line.tokens[inside[0]].word in _SMALL:
                inside = inside[1:]
            while head == "stance" and len(inside) > 1 and line.tokens[inside[-1]].word in _SMALL:
                inside = inside[:-1]
            out.append(Example(head, text, inside[0], inside[-1] + 1, (said,)))

    for stance, kinds in book["value"].items():
        for kind, carriers in kinds.items():
            for carrier in carriers * FILLINGS[kind]:
                add("stance", carrier, {"v": (dice.choice(fillers[kind]), stance)})
    for pair in book["pair"]:
        for carrier in pair["said"] * FILLINGS["pair"]:
            kinds = dice.choice(("genre", "genre", "genre", "person")), dice.choice(("genre", "genre", "year"))
            slots = {"v": (dice.choice(fillers[kinds[0]]), pair["first"])}
            add("stance", carrier, {**slots, "u": (dice.choice(fillers[kinds[1]]), pair["second"])})
    for stance, carriers in book["title"].items():
        for carrier in carriers * FILLINGS["title"]:
            add("title", carrier, {"t": (dice.choice(_TITLES), stance)})
    for act, texts in book["act"].items():
        replies = book["reply"][act]
        out += [Example("act", _varied(t, dice), 0, 0, (act,), dice.choice(replies)) for t in texts for _ in range(3)]
    for turn, texts in book["turn"].items():
        out += [Example("turn", _varied(text, dice), 0, 0, (turn,)) for text in texts for _ in range(2)]
    for register, pattern in ((name, text) for name, texts in talk()["openings"].items() for text in texts):
        if register == "open":
            continue
        for slot in ("{np}", "{nps}", "{keys}", "{one}"):
            if slot in pattern:
                noun = {"{np}": "a {v} film", "{nps}": "{v} films", "{keys}": "{v}", "{one}": "a {v} film"}[slot]
                carrier = pattern.replace(slot, noun).replace("{rest}", "it should be good").replace("{noun}", "film")
                carrier = carrier.replace("{verb}", "watch").replace("{nouns}", "films")
                filler = dice.choice(
                    ("comedy", "horror", "thriller", "90s", "western", "Tom Hanks", "drama", "action")
                )
                add("stance", carrier, {"v": (filler, "wish" if register == "hedged" else "rule")})
                out.append(Example("act", carrier.replace("{v}", filler), 0, 0, ("request",)))
    return out


def _varied(text: str, dice: random.Random) -> str:
    """A text as somebody else would type it."""
    chance = dice.random()
    text = text.lower() if chance < 0.3 else text.upper() if chance < 0.35 else text
    return text.rstrip(".!") if dice.random() < 0.3 else text


def _filled(carrier: str, slots: Mapping[str, str], dice: random.Random) -> tuple[str, dict[str, tuple[int, int]]]:
    marks = {chr(1 + n): name for n, name in enumerate(slots)}
    for mark, name in marks.items():
        carrier = carrier.replace("{" + name + "}", mark)
    carrier = dice.choice(_OPENINGS) + _varied(carrier, dice)
    text, spans = "", dict[str, tuple[int, int]]()
    for letter in carrier:
        if letter in marks:
            spans[marks[letter]] = (len(text), len(text) + len(slots[marks[letter]]))
            text += slots[marks[letter]]
        else:
            text += letter
    return text, spans
