"""Takes recorded conversations into a prepared data set: what was named in them, and what was asked for in words.

Layouts: ReDial's, and plain JSON lines, one conversation each, in which the first speaker is the one who seeks:
`{"turns": [{"speaker": "ann", "text": "...", "items": [{"id": "17", "title": "...", "stance": "liked"}]}]}`; of `id`
and `title` one is enough, and `stance` (liked, disliked) may be missing.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, Field, ValidationError

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, sha256_of
from latentcrs.base.progress import step
from latentcrs.data.archives import open_text
from latentcrs.data.dataset import (
    MENTIONS_SCHEMA,
    OUTSIDE_SCHEMA,
    SPOKEN_SCHEMA,
    PreparedDataset,
    Split,
    write_manifest,
)
from latentcrs.data.lines import LineProblem, TextFile, readable
from latentcrs.data.request_lines import in_words
from latentcrs.data.sources.redial import MENTION, Dialogue, dialogue_files, read_dialogues
from latentcrs.data.titles import FilmIndex, says, split_title, title_key

VALID_SHARE = 20
"""One conversation in so many is for validation."""
LEAST_NAMED = 2
"""A thing that the catalogue does not have is known when so many conversations name it."""
UNSAYABLE = "another movie"
"""Stands for a film whose title is not known."""
FILES = {"mentions": "mentions.parquet", "outside": "outside.parquet", "spoken": "spoken.parquet"}


@dataclass(frozen=True)
class Mention:
    """The first time that a conversation names something. place: the turn; year None: not known."""

    place: int
    by_seeker: bool
    item_id: str | None  # as the conversation gives it
    title: str
    year: int | None
    stance: str | None  # liked, disliked, or nothing


@dataclass(frozen=True)
class Talk:
    """A conversation. said: (by the seeker?, words with titles, words without). again: (place, which mention)."""

    identity: str
    said: list[tuple[bool, str, str]]
    mentions: list[Mention]
    again: list[tuple[int, int]] = field(default_factory=list)


class ItemLine(BaseModel):
    """What a turn names."""

    id: Annotated[str | None, Field(coerce_numbers_to_str=True)] = None
    title: str | None = None
    stance: Literal["liked", "disliked"] | None = None


class TurnLine(BaseModel):
    """One turn of a conversation in plain JSON lines."""

    speaker: Annotated[str, Field(coerce_numbers_to_str=True)]
    text: str
    items: list[ItemLine] = Field(default_factory=list)


class TalkLine(BaseModel):
    """One conversation in plain JSON lines."""

    turns: Annotated[list[TurnLine], Field(min_length=1)]
    id: Annotated[str | None, Field(coerce_numbers_to_str=True)] = None


@dataclass
class MatchedConversations:
    """Conversations in terms of a data set, and what became of them."""

    mentions: list[tuple[int, int, bool, str | None, str, bool]] = field(default_factory=list)
    spoken: list[dict[str, object]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def import_conversations(folder: Path, path: Path) -> dict[str, int]:
    """Read the conversations at `path` for the data set in `folder` and write them into it; returns what was counted.

    Writes `mentions.parquet`, `outside.parquet` (things that are talked of and not in the catalogue) and
    `spoken.parquet` (requests: what a seeker had said when a thing of the catalogue was suggested that they do not
    dislike). People in conversations do not count as users.

    Raises:
        UserError: there are no conversations at `path`, or none of them names an item of the catalogue.
    """
    dataset = PreparedDataset(folder)
    with step("Importing conversations"):
        counts: Counter[str] = Counter()
        talks = list(read_talks(path, counts))
        finder = ThingFinder(dataset, talks)
        gathered = gather(talks, finder)
        counts += gathered.counts
    if not gathered.spoken:
        raise UserError(
            f"None of the {len(talks):,} conversations in {path} suggests an item of the catalogue after the seeker "
            "said something; their items have to be named by the catalogue's ids or titles."
        )
    frames = {
        "mentions": pl.DataFrame(gathered.mentions, schema=MENTIONS_SCHEMA, orient="row"),
        "outside": finder.outside,
        "spoken": pl.DataFrame(gathered.spoken, schema=SPOKEN_SCHEMA),
    }
    checksums = dict(dataset.info.checksums)
    for name, frame in frames.items():
        target = folder / FILES[name]
        with atomic_file(target) as temporary:
            frame.write_parquet(temporary)
        checksums[target.name] = sha256_of(target)
    update = {"checksums": checksums, "conversations": dict(counts)}
    write_manifest(folder, dataset.info.model_copy(update=update))
    return dict(counts)


class ThingFinder:
    """Numbers what conversations name: items of the catalogue by their dense index, other things behind them."""

    def __init__(self, dataset: PreparedDataset, talks: list[Talk]) -> None:
        self.films = FilmIndex(dataset)
        self._ids = {item_id: number for number, item_id in enumerate(dataset.items["item_id"].to_list())}
        self._titles: list[str] = dataset.items["title"].fill_null("").to_list()
        self._found: dict[tuple[str | None, str, int | None], int | None] = {}
        named: Counter[tuple[str, int | None]] = Counter()
        titles: dict[tuple[str, int | None], str] = {}
        for talk in talks:
            others = {
                (title_key(m.title), m.year): m.title for m in talk.mentions if self.item(m) is None and m.title
            }
            named.update(others.keys())
            titles.update(others)
        known = sorted((key for key, count in named.items() if count >= LEAST_NAMED), key=lambda k: (k[0], k[1] or 0))
        self._outside = {key: len(self._ids) + number for number, key in enumerate(known)}
        rows = [(titles[key], key[1], named[key]) for key in known]
        self.outside = pl.DataFrame(rows, schema=OUTSIDE_SCHEMA, orient="row")

    @classmethod
    def of(cls, dataset: PreparedDataset) -> ThingFinder:
        """One that knows the outside items which `dataset` has taken in already."""
        finder, first = cls(dataset, []), dataset.info.items
        finder.outside = dataset.outside
        rows = dataset.outside.select("title", "year").iter_rows()
        finder._outside = {(title_key(title), year): first + row for row, (title, year) in enumerate(rows)}
        return finder

    def item(self, mention: Mention) -> int | None:
        """The dense index of the catalogue's item that is meant; None where it has none."""
        key = (mention.item_id, mention.title, mention.year)
        if key not in self._found:
            number = None if mention.item_id is None else self._ids.get(mention.item_id)
            if number is None and mention.title:
                found = self.films.find(mention.title, mention.year)
                number = None if found is None else self._ids[found]
            self._found[key] = number
        return self._found[key]

    def told(self, mention: Mention) -> Mention:
        """The same with the catalogue's title where the conversation gives an id alone."""
        item = None if mention.title else self.item(mention)
        return mention if item is None else replace(mention, title=title_and_year(self._titles[item])[0])

    def number(self, mention: Mention) -> int | None:
        """The same, or the number of an outside item; None for what hardly anybody names."""
        item = self.item(mention)
        return item if item is not None else self._outside.get((title_key(mention.title), mention.year))


def gather(talks: list[Talk], finder: ThingFinder) -> MatchedConversations:
    """Mentions and requests of all conversations."""
    out = MatchedConversations()
    items = len(finder._ids)
    for number, talk in enumerate(talks):
        split: Split = "valid" if chosen_for_validation(talk.identity) else "train"
        numbered = [(mention, finder.number(mention)) for mention in talk.mentions]
        out.counts["conversations"] += 1
        out.counts["mentions"] += len(numbered)
        for mention, thing in numbered:
            if thing is None:
                out.counts["mentions left out: neither in the catalogue nor named by two conversations"] += 1
            else:
                out.counts["mentions of items" if thing < items else "mentions of outside items"] += 1
                suggested = not mention.by_seeker and thing < items
                out.mentions.append((number, thing, mention.by_seeker, mention.stance, split, suggested))
        for mention, thing in numbered:
            if mention.by_seeker or thing is None or thing >= items:
                continue
            if mention.stance == "disliked":
                out.counts["suggestions left out: disliked"] += 1
                continue
            told = finder.told(mention)
            rows = []
            # As somebody types it who speaks alone; and after suggestions, with their names, at times their words.
            for names, words in ((False, False), (True, mention.place % 2 == 0)):
                text = said_before(talk, told, words)
                named = [
                    (other, at) for other, at in numbered
                    if other.place < mention.place and (other.by_seeker or names) and at not in (None, thing)
                ]  # fmt: skip
                row = {
                    "conversation": number,
                    "history": [at for other, at in named if other.stance != "disliked"],
                    "disliked": [at for other, at in named if other.stance == "disliked"],
                    "target": thing,
                    "split": split,
                    "text": text,
                }
                if said_before(talk, told) and row not in rows:
                    rows.append(row)
            out.spoken += rows
            out.counts["requests" if rows else "suggestions left out: nothing was said before"] += 1
    out.counts["outside items"] = len(finder.outside)
    return out


def chosen_for_validation(identity: str) -> bool:
    """Whether a conversation is one of those that nothing is trained on: the same ones every time."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "big") % VALID_SHARE == 0


def said_before(talk: Talk, target: Mention, both: bool = False) -> str:
    """What the seeker (`both`: either speaker) said before `target` was named, less messages that say its title."""
    never = title_key(target.title)
    told = [
        words
        for by_seeker, words, bare in talk.said[: target.place]
        if (by_seeker or both) and not (never and says(bare, never))
    ]
    return " ".join(words for words in told if words)


def read_talks(path: Path, counts: Counter[str]) -> Iterator[Talk]:
    """The conversations at `path`, a file or a folder; lines that cannot be read are counted.

    Raises:
        UserError: there is nothing that could be one.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; --conversations wants a folder or a file of JSON lines.")
    files = [path] if path.is_file() else dialogue_files(path)
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        for file in files:
            text = readable(file, Path(workspace))
            for talk in redial_talks(text) if is_redial(text.path) else plain_talks(text):
                if isinstance(talk, Talk):
                    yield talk
                else:
                    counts[f"lines left out: {talk.kind}"] += 1


def is_redial(path: Path) -> bool:
    """Whether the first line that holds something is a dialogue in ReDial's layout."""
    with open_text(path) as stream:
        first = next((line for line in stream if not line.isspace()), "")
    return '"movieMentions"' in first


def redial_talks(file: TextFile) -> Iterator[Talk | LineProblem]:
    """Conversations in ReDial's layout."""
    for dialogue in read_dialogues(file):
        yield dialogue if isinstance(dialogue, LineProblem) else talk_of(dialogue)


def talk_of(dialogue: Dialogue) -> Talk:
    """A dialogue of ReDial as a conversation: its numbers of films replaced by their titles."""
    frame = pl.DataFrame({"raw": [*dialogue.movies.values()]}, schema={"raw": pl.String}).select(*split_title("raw"))
    films = dict(zip(dialogue.movies, frame.iter_rows(), strict=True))

    def named(found: re.Match[str]) -> str:
        title, year = films.get(found[1], ("", None))
        return UNSAYABLE if not title else f"{title} ({year})" if year else title

    said = [
        (by_seeker, MENTION.sub(named, words).strip(), MENTION.sub(" . ", words))
        for by_seeker, words in dialogue.said
    ]
    stances = dict.fromkeys(dialogue.disliked, "disliked") | dict.fromkeys(dialogue.liked, "liked")
    first = {movie: place for movie, place in dialogue.first_mentions().items() if films[movie][0]}
    mentions = [
        Mention(place, dialogue.said[place][0], None, films[movie][0], films[movie][1], stances.get(movie))
        for movie, place in first.items()
    ]
    numbers = {movie: number for number, movie in enumerate(first)}
    again = [
        (place, numbers[movie])
        for place, (_, words) in enumerate(dialogue.said)
        for movie in dict.fromkeys(MENTION.findall(words))
        if movie in first and place > first[movie]
    ]
    return Talk(dialogue.identity, said, mentions, again)


def plain_talks(file: TextFile) -> Iterator[Talk | LineProblem]:
    """Conversations in plain JSON lines."""
    with open_text(file.path) as stream:
        for number, text in enumerate(stream, start=1):
            if text.isspace():
                continue
            try:
                line = TalkLine.model_validate(json.loads(text))
            except (ValidationError, json.JSONDecodeError) as error:
                detail = in_words(error.errors()[0]) if isinstance(error, ValidationError) else error.msg
                yield LineProblem(file.original, number, "no conversation", detail)
                continue
            seeker = line.turns[0].speaker
            said = [(turn.speaker == seeker, turn.text.strip(), turn.text) for turn in line.turns]
            mentions: dict[str, Mention] = {}
            again: list[tuple[int, str]] = []
            for place, turn in enumerate(line.turns):
                for item in turn.items:
                    title, year = title_and_year(item.title or "")
                    key = item.id or item.title or ""
                    mention = Mention(place, turn.speaker == seeker, item.id, title, year, item.stance)
                    first = mentions.setdefault(key, mention)
                    if item.stance and not first.stance:
                        mentions[key] = replace(first, stance=item.stance)
                    if place > first.place:
                        again.append((place, key))
            numbers = {key: number for number, key in enumerate(mentions)}
            named_again = [(place, numbers[key]) for place, key in dict.fromkeys(again)]
            yield Talk(line.id or str(number), said, list(mentions.values()), named_again)


@cache
def title_and_year(title: str) -> tuple[str, int | None]:
    """A title without the year behind it, and that year."""
    row = pl.DataFrame({"raw": [title]}).select(*split_title("raw")).row(0)
    return row[0] or "", row[1]
