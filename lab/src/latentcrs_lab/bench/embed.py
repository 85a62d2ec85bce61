"""The embedding benchmark: sentences a second of our encoder beside sentence-transformers' own loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.base.device import fast_dtype, resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.bench.machine import hardware
from latentcrs.data import PreparedDataset
from latentcrs.text import LocalEncoder, SentenceEncoder, open_encoder
from latentcrs.text.encoders import Precision
from latentcrs.text.minilm import has_int8
from latentcrs.text.model_folders import quiet_loading
from latentcrs_lab.bench.alternating import Comparison, compare

PEER = "SentenceTransformer.encode"
BATCH = 32  # its own default
ALONE = 32  # texts that are encoded one by one: more than an encoder remembers
Peer = Callable[[list[str]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class EncodingComparison(Comparison):
    """One kind of text in one precision: sentences a second of both, and the lowest cosine between a text's two
    vectors. In int8, which the peer has not, the peer computes in float32.
    """

    texts: str
    precision: str
    tokens: float  # of one text, on average
    lowest_cosine: float


@dataclass(frozen=True)
class EmbedBenchmark:
    """Items and requests of a data set, and requests one at a time, in every precision that the machine has."""

    encoder: str
    sample: int
    encodings: list[EncodingComparison]
    hardware: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        return {"peer": PEER, **asdict(self)}


def bench_embed(
    dataset: str | Path, encoder: str = "minilm", sample: int = 512, repeats: int = 3, device: str = "auto"
) -> EmbedBenchmark:
    """Encode `sample` texts of each kind, drawn from a data set, with a sentence-transformers model both ways.

    The peer loads the same folder, in the same precision (float32 beside int8), with its own batches.

    Raises:
        UserError: no such data set or encoder, or the encoder is no sentence-transformers model.
    """
    prepared, place = PreparedDataset(dataset), resolve_device(device)
    kinds = {"items": prepared.items["text"].fill_null("").to_list()}
    if prepared.has_requests:
        kinds["requests"] = prepared.requests["text"].unique(maintain_order=True).to_list()
    precisions: list[Precision] = ["float32"]
    if fast_dtype(place) is torch.bfloat16:
        precisions.append("bfloat16")
    if encoder == "minilm" and place.type == "cpu" and has_int8():
        precisions.append("int8")
    found: list[EncodingComparison] = []
    peers: dict[str, Peer] = {}
    with step("encodings", len(precisions) * (len(kinds) + 1)) as bar:
        for precision in precisions:
            ours = open_encoder(encoder, device, precision)
            if not isinstance(ours, LocalEncoder) or ours.kind != SentenceEncoder.kind:
                raise UserError(f"'bench embed' compares sentence-transformers models; {encoder} is none.")
            theirs_in = "float32" if precision == "int8" else precision
            if theirs_in not in peers:
                peers[theirs_in] = _peer(ours, str(place), theirs_in)
            for name, texts in kinds.items():
                rows = np.random.default_rng(0).permutation(len(texts))[:sample]
                drawn = [texts[row] for row in rows]
                found.append(_encoding(name, drawn, precision, ours.encode, peers[theirs_in], repeats, ours))
                bar.advance()
            ours_alone, theirs_alone = _one_by_one(ours.encode), _one_by_one(peers[theirs_in])
            name, drawn = f"{name}, one by one", drawn[:ALONE]
            found.append(_encoding(name, drawn, precision, ours_alone, theirs_alone, repeats, ours))
            bar.advance()
    return EmbedBenchmark(ours.id, sample, found, hardware(device))


def _encoding(
    name: str,
    texts: list[str],
    precision: str,
    ours: Peer,
    theirs: Peer,
    repeats: int,
    encoder: LocalEncoder,
) -> EncodingComparison:
    encoder.load()
    took = compare(lambda: ours(texts), lambda: theirs(texts), repeats, len(texts))
    cosines = (ours(texts) * theirs(texts)).sum(1)
    tokens, lowest = float(encoder.count_tokens(texts).mean()), float(cosines.min())
    return EncodingComparison(texts=name, precision=precision, tokens=tokens, lowest_cosine=lowest, **asdict(took))


def _one_by_one(encode: Peer) -> Peer:
    """What encodes every text alone, as a chat does."""
    return lambda texts: np.concatenate([encode([text]) for text in texts])


def _peer(encoder: LocalEncoder, device: str, precision: str) -> Peer:
    """The model in the encoder's folder, as its own library opens and runs it."""
    with quiet_loading():
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(
            str(encoder.folder),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, precision)},
        )
    return lambda texts: np.asarray(
        model.encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False), np.float32
    )
