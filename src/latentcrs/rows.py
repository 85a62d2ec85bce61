"""What the intent model trains and is judged on: every request as (S, X, target), embedded once."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.behaviour import BehaviourEncoder
from latentcrs.data import Histories, PreparedDataset
from latentcrs.errors import UserError
from latentcrs.intent.stage import Rows
from latentcrs.language import TextEncoder, embed


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
    return rows_of(dataset, requests, behaviour, encoder, max_history, f"{split} requests")


def rows_of(
    dataset: PreparedDataset,
    requests: pl.DataFrame,
    behaviour: BehaviourEncoder,
    encoder: TextEncoder,
    max_history: int | None = None,
    name: str = "requests",
) -> Rows:
    """`requests` (columns of `REQUESTS_SCHEMA`) as `Rows`; `name` is what their embedding is called on the screen."""
    histories = dataset.request_histories(requests)
    seen = histories if max_history is None else histories.newest(max_history)
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
