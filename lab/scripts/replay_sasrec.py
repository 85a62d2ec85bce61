"""The peer of the behaviour encoder: SASRec of replay-rec 0.22, run as a script by a Python that has that package.

Reads sequences from the .npz file named first, trains, and prints a line of JSON per epoch: processor seconds of
training so far and NDCG@20 on validation. Imports nothing of LatentCRS: replay-rec wants older packages than that
does (polars < 2, pyarrow < 24, scikit-learn < 1.9), and lives in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import torch

warnings.filterwarnings("ignore")


def main(data: str, settings: dict[str, Any]) -> None:
    """Train and validate.

    data: `items`, `offsets` and `lengths` of the training sequences, `seen_*` of the validation histories and what
    they leave out of each row's ranking, `targets`, `count` of items.
    """
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
    from replay.nn.lightning import LightningModule
    from replay.nn.lightning.optimizer import OptimizerFactory
    from replay.nn.sequential import SasRec

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    stored = np.load(data)
    count, length = int(stored["count"]), settings["length"]
    source = TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")
    schema = TensorSchema(
        TensorFeatureInfo(
            "item_id",
            FeatureType.CATEGORICAL,
            is_seq=True,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[source],
            cardinality=count,
            padding_value=count,
            embedding_dim=settings["width"],
        )
    )
    model = SasRec.from_params(
        schema,
        embedding_dim=settings["width"],
        num_heads=settings["heads"],
        num_blocks=settings["layers"],
        max_sequence_length=length,
        dropout=settings["dropout"],
        hidden_dim=2 * settings["width"],
    )
    module = LightningModule(model, OptimizerFactory(learning_rate=settings["learning_rate"]))
    optimizer = module.configure_optimizers()
    windows = cut(stored, length + 1, count)
    seen, targets = newest(stored, length, count), torch.from_numpy(stored["targets"].astype(np.int64))
    left_out = torch.from_numpy(stored["seen_rows"]), torch.from_numpy(stored["seen_pairs"])
    rng, seconds = torch.Generator().manual_seed(settings["seed"]), 0.0
    for epoch in range(1, settings["epochs"] + 1):
        began = time.process_time()
        model.train()
        for rows in torch.randperm(len(windows), generator=rng).split(settings["batch"]):
            batch = windows[rows]
            tokens, labels = batch[:, :-1], batch[:, 1:]
            given: dict[str, Any] = {
                "feature_tensors": {"item_id": tokens},
                "padding_mask": tokens != count,
                "positive_labels": labels[..., None],
                "target_padding_mask": (labels != count)[..., None],
                "negative_labels": None,
            }
            optimizer.zero_grad()
            module(given)["loss"].backward()
            optimizer.step()
        seconds += time.process_time() - began
        found = validation(model, seen, targets, left_out, count)
        print(json.dumps({"epoch": epoch, "seconds": seconds, "ndcg": found}), flush=True)


def cut(stored: Any, size: int, padding: int) -> torch.Tensor:
    """Every training sequence in pieces of `size` items, newest first, each overlapping the next by one item."""
    rows = []
    for start, length in zip(stored["offsets"], stored["lengths"], strict=True):
        whole = stored["items"][start : start + length]
        for end in range(len(whole), 1, 1 - size):
            piece = whole[max(0, end - size) : end]
            rows.append(np.pad(piece, (size - len(piece), 0), constant_values=padding))
    return torch.from_numpy(np.stack(rows).astype(np.int64))


def newest(stored: Any, length: int, padding: int) -> torch.Tensor:
    """The newest items of each validation history, padded in front."""
    rows = np.full((len(stored["targets"]), length), padding, np.int64)
    for row, (start, total) in enumerate(zip(stored["seen_offsets"], stored["seen_lengths"], strict=True)):
        part = stored["seen_items"][start + max(0, total - length) : start + total]
        if len(part):
            rows[row, -len(part) :] = part
    return torch.from_numpy(rows)


@torch.inference_mode()
def validation(
    model: Any, seen: torch.Tensor, targets: torch.Tensor, left_out: tuple[torch.Tensor, torch.Tensor], count: int
) -> float:
    """Mean NDCG@20 over the whole catalogue less the history; ties count against the target."""
    model.eval()
    logits = torch.cat(
        [
            model(feature_tensors={"item_id": rows}, padding_mask=rows != count)["logits"][:, :count]
            for rows in seen.split(512)
        ]
    )
    wanted = logits.gather(1, targets[:, None])
    logits[left_out] = -torch.inf
    gone = torch.isinf(logits.gather(1, targets[:, None])[:, 0])
    rank = torch.where(gone, count, (~(logits < wanted)).sum(1)).double()
    return float(torch.where(rank <= 20, 1 / torch.log2(rank + 1), 0).mean())


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
