"""What the intent model trains and is judged on: every request as (S, X, target), embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.errors import UserError
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.comentions import COUNTED, FEW, CoMentions, profiles_of
from latentcrs.data import Histories, PreparedDataset
from latentcrs.intent.clues import Clues
from latentcrs.intent.stage import Rows
from latentcrs.text import TextEncoder, embed
from latentcrs.text.lexical import Lexical


@dataclass(frozen=True)
class ClueReader:
    """Reads what is said and named as `Clues`: by the words of the items' texts, and by what is named together."""

    lexical: Lexical
    comentions: CoMentions | None

    @classmethod
    def of(cls, dataset: PreparedDataset) -> ClueReader:
        """Of a data set's items, its training requests, and its imported conversations where it has some."""
        talk = None
        if len(dataset.mentions):
            talk = CoMentions.build(dataset.mentions, dataset.info.items, len(dataset.outside))
        asked = [dataset.requests.select("split", "text", "target"), dataset.spoken.select("split", "text", "target")]
        train = pl.concat(asked, how="vertical_relaxed").filter(pl.col("split") == "train")
        words = Lexical.build(words_of_items(dataset.items))
        return cls(words.listening(train["text"].to_list(), train["target"].to_numpy()), talk)

    def read(
        self,
        texts: Sequence[str],
        named: Sequence[Sequence[int]],
        lengths: NDArray[np.integer],
        own: sp.csr_matrix | None = None,
    ) -> Clues:
        """Of R texts, the things named with each, and histories' `lengths` (R,); own: see `CoMentions.bonus`."""
        counts = self.lexical.counts(texts)
        said = self.lexical.matches(counts)
        talk = self.comentions
        together = sp.csr_matrix(said.shape, dtype=np.float32) if talk is None else talk.bonus(named, own)
        return Clues.of(said, together, np.asarray(counts.sum(1), np.float32).ravel(), lengths)


def words_of_items(items: pl.DataFrame) -> list[str]:
    """What every item's words are: its title and its text."""
    whole = pl.concat_str(pl.col("title").fill_null(""), pl.lit(" "), pl.col("text").fill_null(""))
    return items.select(whole.alias("words"))["words"].to_list()


def few_named(histories: Histories) -> list[list[int]]:
    """The items of histories so short that they tell what somebody would name; empty for the others."""
    return [history.tolist() if len(history) <= FEW else [] for history in histories]


def training_sequences(dataset: PreparedDataset) -> Histories:
    """Every user's items but the last two, which are for validation and test."""
    return dataset.histories(np.arange(dataset.info.users), dataset.lengths - 2)


def held_out(dataset: PreparedDataset, split: str) -> tuple[Histories, NDArray[np.int32]]:
    """(history, target) of every user: the second-to-last item for valid, the last one for test."""
    back = 2 if split == "valid" else 1
    histories = dataset.histories(np.arange(dataset.info.users), dataset.lengths - back)
    return histories, dataset.sequence[dataset.offsets[1:] - back]


def item_texts(dataset: PreparedDataset, encoder: TextEncoder) -> NDArray[np.float32]:
    """T, (n, d_x): the items' content embeddings."""
    return embed(dataset.items["text"].fill_null("").to_list(), encoder, name="item texts")


def request_rows(
    dataset: PreparedDataset,
    split: str,
    behaviour: BehaviourEncoder,
    encoder: TextEncoder,
    max_history: int | None = None,
    raw_only: bool = False,
    reader: ClueReader | None = None,
) -> Rows:
    """The requests of one split as `Rows`; S is computed once, because the encoder is frozen.

    `max_history` keeps only the newest items of each history for S (the ranking still leaves out all of it);
    `raw_only` keeps of each user only the newest training row (no augmentation).

    Raises:
        UserError: the split has no requests.
    """
    requests = dataset.requests.filter(pl.col("split") == split)
    if raw_only:
        requests = requests.filter(pl.col("cut").is_null() | (pl.col("cut") == pl.col("cut").max().over("user")))
    if requests.is_empty():
        raise UserError(
            f"{dataset.path} has no {split} requests; write some with 'latentcrs simulate {dataset.path}'."
        )
    return rows_of(dataset, requests, behaviour, encoder, max_history, f"{split} requests", reader)


def rows_of(
    dataset: PreparedDataset,
    requests: pl.DataFrame,
    behaviour: BehaviourEncoder,
    encoder: TextEncoder,
    max_history: int | None = None,
    name: str = "requests",
    reader: ClueReader | None = None,
    at_random: int | None = None,
) -> Rows:
    """`requests` (columns of `REQUESTS_SCHEMA`) as `Rows`; `name` is what their embedding is called on the screen.

    reader: reads their clues; None for a model without them. at_random: only so many items of each history are seen,
    drawn from all of it, before `max_history` applies.
    """
    histories = dataset.request_histories(requests)
    seen = histories if at_random is None else histories.sampled(at_random)
    seen = seen if max_history is None else seen.newest(max_history)
    rows = _embedded(requests, histories, seen, behaviour, encoder, name)
    if reader is None:
        return rows
    return replace(rows, clues=reader.read(requests["text"].to_list(), few_named(seen), seen.lengths))


def spoken_rows(
    dataset: PreparedDataset, split: str, behaviour: BehaviourEncoder, encoder: TextEncoder, reader: ClueReader | None
) -> Rows | None:
    """The requests of people in imported conversations as `Rows`; None without any.

    What a person named and disliked leaves the ranking. In training nothing is counted of a row's own conversation.
    """
    spoken = dataset.spoken.filter(pl.col("split") == split)
    if spoken.is_empty():
        return None
    n, named = dataset.info.items, spoken["history"].to_list()
    seen = Histories.from_lists([[thing for thing in things if thing < n] for things in named])
    left_out = [
        [thing for thing in (*things, *refused) if thing < n and thing != target]
        for things, refused, target in zip(named, spoken["disliked"].to_list(), spoken["target"], strict=True)
    ]
    rows = _embedded(spoken, Histories.from_lists(left_out), seen, behaviour, encoder, f"people's {split} requests")
    if reader is None:
        return rows
    own = shift = None
    if split == "train" and reader.comentions is not None:
        everything = n + len(dataset.outside)
        counted = dataset.mentions.filter(COUNTED)
        whose = spoken["conversation"].to_numpy()
        own = profiles_of(counted["conversation"].to_numpy(), counted["item"].to_numpy(), everything)[whose]
        suggested = counted.filter("suggested")
        shift = profiles_of(suggested["conversation"].to_numpy(), suggested["item"].to_numpy(), n)
        shift = sp.csr_matrix(shift[whose]) if shift.shape[0] > whose.max() else None
        if shift is not None:
            often = reader.comentions.suggested[shift.indices]
            shift.data = (np.log(often + 0.5) - np.log(np.maximum(often - 1, 0) + 0.5)).astype(np.float32)
    clues = reader.read(spoken["text"].to_list(), named, seen.lengths, own)
    return replace(rows, clues=replace(clues, own=shift))


def joined_rows(requests: Rows, spoken: Rows | None) -> Rows:
    """The rows of a log's requests and of people's, which count alike in validation, whatever their number."""
    if spoken is None:
        return requests
    groups = [requests, spoken]
    histories = [rows.histories for rows in groups]
    first = len(histories[0].items)
    weights = [np.full(len(rows), sum(map(len, groups)) / (2 * len(rows))) for rows in groups]
    clues = [rows.clues for rows in groups if rows.clues is not None]
    return Rows(
        S=torch.cat([rows.S for rows in groups]),
        texts=torch.cat([rows.texts for rows in groups]),
        text_of=torch.cat([requests.text_of, spoken.text_of + len(requests.texts)]),
        targets=torch.cat([rows.targets for rows in groups]),
        histories=Histories(
            np.concatenate([part.items for part in histories]),
            np.concatenate([histories[0].offsets, histories[1].offsets + first]),
            np.concatenate([part.lengths for part in histories]),
        ),
        clues=Clues.joined(clues) if len(clues) == len(groups) else None,
        weights=np.concatenate(weights),
    )


def _embedded(
    requests: pl.DataFrame,
    histories: Histories,
    seen: Histories,
    behaviour: BehaviourEncoder,
    encoder: TextEncoder,
    name: str,
) -> Rows:
    """`Rows` of requests (text, target); S of `seen`, and `histories` leave the ranking."""
    texts = requests["text"]
    distinct = texts.unique(maintain_order=True)
    number = pl.DataFrame({"text": distinct, "number": np.arange(len(distinct))})
    text_of = pl.DataFrame({"text": texts}).join(number, on="text", how="left", maintain_order="left")["number"]
    device = behaviour.device
    return Rows(
        S=behaviour.encode_tensor(seen).clone(),
        texts=torch.from_numpy(embed(distinct.to_list(), encoder, name=name)).to(device),
        text_of=torch.from_numpy(text_of.to_numpy().astype(np.int64)).to(device),
        targets=torch.from_numpy(requests["target"].to_numpy().astype(np.int64)).to(device),
        histories=histories,
    )


def training_counts(dataset: PreparedDataset, device: torch.device) -> Tensor:
    """How often each item was chosen in training, (n,) float."""
    return torch.from_numpy(dataset.training_counts.astype(np.float32)).to(device)
