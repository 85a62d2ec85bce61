"""Requests that people made, in terms of a data set: out of dialogues, descriptions of films, reviews, or a file."""

import json
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.data.conversations import ThingFinder, read_talks, said_before
from latentcrs.data.lines import LineProblem, readable
from latentcrs.data.request_lines import parse_lines
from latentcrs.data.sources.reviews import Review, reviewers, reviews_file
from latentcrs.data.titles import says, title_key
from latentcrs.users.leak import blanked

Context = Literal["seeker", "both"]
TAGS = re.compile(
    r"\[\s*(?:tomt|movies?|films?|tv|show|video)\b[\s/,]*(?:tv|show|movies?|films?)*\s*\]", re.IGNORECASE
)
BLANK = "it"


@dataclass(frozen=True)
class HumanRequest:
    """One request. Numbers of things: items, and behind them outside items."""

    text: str
    history: list[int]  # chosen, or named and not disliked, oldest first; outside items among it
    named: list[int]  # items that were chosen or named, liked or not, oldest first
    target: int  # an item
    titles: int  # how many things were chosen or named

    @property
    def is_new(self) -> bool:
        """Whether the target was never named before."""
        return self.target not in self.named


def from_dialogues(path: Path, dataset: PreparedDataset, context: Context) -> Iterator[HumanRequest]:
    """A request for every item that the one who recommends names after the seeker has said something.

    path: ReDial's layout or plain JSON lines (`latentcrs.data.conversations`). The text is what the seeker (`both`:
    either) has said, titles in place.
    """
    finder, items = ThingFinder.of(dataset), dataset.info.items
    for talk in read_talks(path, Counter()):
        things = [finder.number(mention) for mention in talk.mentions]
        asked: set[tuple[int, int]] = set()
        for place, number in sorted([*((m.place, at) for at, m in enumerate(talk.mentions)), *talk.again]):
            mention, target = replace(finder.told(talk.mentions[number]), place=place), things[number]
            if talk.said[place][0] or target is None or target >= items or (place, target) in asked:
                continue
            asked.add((place, target))
            before = [(m, at) for m, at in zip(talk.mentions, things, strict=True) if m.place < place]
            if any(at == target for _, at in before):
                mention = replace(mention, title="")  # no secret: words that say it stay
            if not said_before(talk, mention):
                continue
            yield HumanRequest(
                said_before(talk, mention, both=context == "both"),
                [at for m, at in before if at is not None and m.stance != "disliked"],
                [at for _, at in before if at is not None and at < items],
                target,
                len(before),
            )


def from_imported(dataset: PreparedDataset) -> Iterator[HumanRequest]:
    """The validation requests of the conversations that the data set was prepared with."""
    for row in dataset.spoken.filter(pl.col("split") == "valid").iter_rows(named=True):
        things = [*row["history"], *row["disliked"]]
        named = [thing for thing in things if thing < dataset.info.items]
        yield HumanRequest(row["text"], row["history"], named, row["target"], len(things))


def from_descriptions(path: Path, dataset: PreparedDataset, context: Context) -> Iterator[HumanRequest]:
    """People who describe a film whose title escapes them; its title is masked where somebody added it later.

    path: JSON lines with title, text and ml1m_item, MovieLens-1M's id of the film.
    """
    if not dataset.info.name.startswith("ml-1m"):
        return
    numbers = _numbers(dataset)
    titles = dataset.items["title"].fill_null("").to_list()
    for row in _lines(path):
        target = numbers.get(str(row.get("ml1m_item")))
        if target is not None:
            text = " ".join(f"{TAGS.sub(' ', row['title'])} {row['text']}".split())
            key = r"\W+".join(map(re.escape, title_key(re.sub(r"\(.*", "", titles[target])).split()))
            yield HumanRequest(re.sub(rf"\b{key}\b", BLANK, text, flags=re.IGNORECASE), [], [], target, 0)


def from_open_dialogues(path: Path, dataset: PreparedDataset, context: Context) -> Iterator[HumanRequest]:
    """OpenDialKG's suggestions, the last tenth of JSON lines with context, entity, rec: things known by title."""
    finder, items = ThingFinder.of(dataset), dataset.info.items
    numbers = _numbers(dataset)
    keys = Counter(map(title_key, dataset.outside["title"]))
    outside = {key: items + row for row, key in enumerate(map(title_key, dataset.outside["title"])) if keys[key] == 1}

    def number(title: str) -> int | None:
        found = finder.films.find(title, None)
        return outside.get(title_key(title)) if found is None else numbers[found]

    rows = _lines(path)
    for row in rows[-max(1, len(rows) // 10) :]:
        text = " ".join(row["context"])
        named = [at for title in dict.fromkeys(row["entity"]) if (at := number(title)) is not None]
        for title in row["rec"] if text.strip() else ():
            target = number(title)
            if target is not None and target < items:
                said = [*named, target] if target not in named and says(text, title_key(title)) else named
                yield HumanRequest(text, said, [at for at in said if at < items], target, len(said))


def from_reviews(path: Path, dataset: PreparedDataset, context: Context) -> Iterator[HumanRequest]:
    """People's newest review as the request for what it is about, its title masked; earlier ones are their history.

    path: as `data prepare amazon-2023-sample` reads it.
    """
    numbers = _numbers(dataset)
    titles = dataset.items["title"].fill_null("").to_list()
    people: dict[str, dict[str, Review]] = defaultdict(dict)  # a person may have several lines
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        for _, person in reviewers(readable(reviews_file(path), Path(workspace))):
            if not isinstance(person, LineProblem):
                people[person.user_id] |= {r.parent_asin: r for r in (*person.history, person.heldout)}
    for reviews in people.values():
        *earlier, newest = sorted(reviews.values(), key=lambda review: review.timestamp_ms)
        target = numbers.get(newest.parent_asin)
        if target is not None:
            text = blanked(newest.review_full, titles[target], BLANK)
            history = [numbers[review.parent_asin] for review in earlier if review.parent_asin in numbers]
            if text.strip():
                yield HumanRequest(text, history, history, target, len(history))


def from_file(path: Path, dataset: PreparedDataset, context: Context) -> Iterator[HumanRequest]:
    """Requests of your own: the lines that `data prepare --requests` reads, with histories, of the test split.

    Raises:
        UserError: a line is wrong.
    """
    lines, mistakes = parse_lines(path)
    if len(mistakes):
        number, mistake = mistakes.sort("line").row(0)
        raise UserError(f"{path}, line {number}: {mistake}.")
    numbers = _numbers(dataset)
    for row in lines.filter(pl.col("split") == "test").iter_rows(named=True):
        if row["history"] is None:
            raise UserError(f"{path}, line {row['line']}: give history (item ids) in place of user_id.")
        if unknown := [item for item in (*row["history"], row["target"]) if item not in numbers]:
            raise UserError(f"{path}, line {row['line']}: the catalogue has no item {unknown[0]!r}.")
        history = [numbers[item] for item in row["history"]]
        yield HumanRequest(row["text"], history, history, numbers[row["target"]], len(history))


SOURCES: dict[str, tuple[Callable[[Path, PreparedDataset, Context], Iterator[HumanRequest]], str]] = {
    "redial": (from_dialogues, "redial-valid"),
    "tomt": (from_descriptions, "tomt-movies/validation.jsonl"),
    "opendialkg": (from_open_dialogues, "opendialkg/train.jsonl"),
    "reviews": (from_reviews, "amazon-2023-sample/training.jsonl"),
    "own": (from_file, ""),
}
"""How each kind of source is read, and where it lies below $LATENTCRS_DATA."""
IMPORTED = "conversations"


def gather_requests(
    dataset: PreparedDataset, places: list[str], context: Context = "seeker"
) -> dict[str, list[HumanRequest]]:
    """Requests by source. places: `NAME=PATH` of `SOURCES`, or a NAME that lies in $LATENTCRS_DATA; none at all: what
    there is of them, and the data set's own conversations.

    Raises:
        UserError: an unknown source, nothing at its place, or nothing in it that `dataset` has an item for.
    """
    found: dict[str, list[HumanRequest]] = {}
    home = os.environ.get("LATENTCRS_DATA")
    for name, path in [_place(place, home) for place in places]:
        found[name] = [*found.get(name, []), *SOURCES[name][0](path, dataset, context)]
        if not found[name]:
            raise UserError(f"Nothing in {path} asks for an item of {dataset.info.name}.")
    if places:
        return found
    found[IMPORTED] = list(from_imported(dataset))
    for name, (read, usual) in SOURCES.items() if home else ():
        if usual and (Path(home or "") / usual).exists():
            found[name] = list(read(Path(home or "") / usual, dataset, context))
    if not any(found.values()):
        raise UserError(
            f"There are no requests of people for {dataset.info.name}; name some with --on NAME=PATH "
            f"(NAME is one of {', '.join(SOURCES)})."
        )
    return {name: requests for name, requests in found.items() if requests}


def _place(place: str, home: str | None) -> tuple[str, Path]:
    name, _, path = place.partition("=")
    if name not in SOURCES:
        raise UserError(f"--on {place}: there is no source {name!r}; choose of {', '.join(SOURCES)}.")
    usual = SOURCES[name][1]
    if not path and not (home and usual):
        raise UserError(f"--on {name} wants a path: --on {name}=PATH.")
    where = Path(path) if path else Path(home or "") / usual
    if where.is_dir() and (where / Path(usual).name).is_file():
        where = where / Path(usual).name
    if not where.exists():
        raise UserError(f"--on {name}: {where} does not exist.")
    return name, where


def _numbers(dataset: PreparedDataset) -> dict[str, int]:
    return {item_id: number for number, item_id in enumerate(dataset.items["item_id"].to_list())}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    found = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if text.strip():
            try:
                found.append(dict(json.loads(text)))
            except (ValueError, TypeError):
                raise UserError(f"{path}, line {number}: this is no JSON object.") from None
    return found
