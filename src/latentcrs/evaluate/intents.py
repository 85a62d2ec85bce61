"""What each intent of a bundle is about: its items, the words people used while it was active, its size."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.data import PreparedDataset
from latentcrs.data.dataset import MANIFEST
from latentcrs.evaluate import intent_categories
from latentcrs.evaluate.intent_categories import Agreement, agreement
from latentcrs.evaluate.intent_words import Corpus, distinctive, telling_words
from latentcrs.evaluate.opened import dataset_of
from latentcrs.fit.rows import training_sequences
from latentcrs.recommend import Bundle
from latentcrs.text import embed

WEIGHT_OF_POPULARITY = 0.3
"""lambda of the relevance of an item: 0 ranks by affinity alone, which finds what nobody knows."""
TOP_ITEMS = 20
MOST_REQUESTS = 50_000
"""More training requests than these are sampled: words are counted well before."""
BATCH = 4096


@dataclass(frozen=True)
class Intent:
    """One intent. Shares are of all users or requests, in 0..1; None where the data set is not at hand."""

    number: int
    name: str
    category: str | None  # of `IntentsReport.column`, the value that sets its items apart
    items: list[str]  # titles, the most relevant first
    words: list[str]  # the most telling first
    users: float | None  # mean of q(m | S) over the users' training histories
    requests: float | None  # mean of f(m | S, X) over the requests of the split
    nearest: list[int]  # other intents, nearest first
    examples: list[str] = field(default_factory=list)  # requests that it is most active in

    @property
    def tag(self) -> str:
        """The part of the name that its category does not say: words, else a first item."""
        return self.name.rsplit(" · ", 1)[-1].removeprefix("like ")


@dataclass(frozen=True)
class IntentsReport:
    """All intents of a bundle, in order of their number, and what the figures were taken from."""

    dataset: str
    split: str
    intents: list[Intent]
    column: str | None  # the column that the categories are of
    agreement: Agreement | None  # how much the items of an intent share a category, beside chance
    positions: NDArray[np.float64]  # (K, 2), see `project`
    users: int | None  # how many were counted
    requests: int | None
    notes: list[str]

    @property
    def by_size(self) -> list[Intent]:
        """The intents, the one with most users first."""
        return sorted(self.intents, key=lambda intent: (-(intent.users or 0.0), intent.number))

    def as_json(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        told = {name: getattr(self, name) for name in ("dataset", "split", "users", "requests", "column", "notes")}
        told["agreement"] = None if self.agreement is None else asdict(self.agreement)
        told["intents"] = [
            {**asdict(intent), "position": [round(float(x), 4) for x in self.positions[intent.number]]}
            for intent in self.by_size
        ]
        return told


@dataclass(frozen=True)
class _Said:
    """What requests say about intents."""

    share: NDArray[np.float64]  # (K,) mean of f
    words: list[list[str]]
    examples: list[list[str]]
    n: int


@torch.inference_mode()
def describe_intents(
    bundle: Bundle, dataset: str | Path | None = None, split: str = "train", column: str | None = None
) -> IntentsReport:
    """Name, items, words, size and place of every intent of a bundle.

    dataset: where the data set lies now, if it was moved; without any at hand, words and sizes are left out and a
    note says so. split: the requests whose share and examples are given; words are always of the training requests.
    column: the category column that the intents are told apart by, None for the one they agree on most.

    Raises:
        UserError: `dataset` is not the bundle's, a split without requests, or a column that is no category.
    """
    if split not in ("train", "valid", "test"):
        raise UserError(f"--split {split}: choose train, valid or test.")
    top = _top_items(bundle)
    chosen = intent_categories.map_column(bundle.items, bundle.columns, top, column)
    notes: list[str] = []
    prepared = _at_hand(bundle, dataset, notes)
    users = said = None
    if prepared is not None:
        users = _user_shares(bundle, prepared)
        if prepared.has_requests:
            said = _said(bundle, prepared, split)
        else:
            notes.append(f"{prepared.path} has no requests: words are left out ('latentcrs simulate' writes some).")
    K = len(top)
    words = said.words if said is not None else [[] for _ in range(K)]
    categories = intent_categories.category_of(bundle.items, chosen, top) if chosen else [None] * K
    names = intent_categories.names_of(bundle.items, bundle.columns, top, words)
    titles = bundle.items["title"].to_list()
    profile = profiles(bundle)
    nearest, trained = _nearest(profile), bundle.info.dataset
    return IntentsReport(
        dataset=Path(trained.path).name if trained.name == "own" else trained.name,
        split=split,
        intents=[
            Intent(
                number=j,
                name=names[j],
                category=categories[j],
                items=list(dict.fromkeys(str(titles[v]) for v in top[j])),
                words=words[j],
                users=None if users is None else float(users[j]),
                requests=None if said is None else float(said.share[j]),
                nearest=nearest[j].tolist(),
                examples=[] if said is None else said.examples[j],
            )
            for j in range(K)
        ],
        column=chosen,
        agreement=agreement(bundle.items, chosen, top) if chosen else None,
        positions=project(profile),
        users=None if prepared is None else prepared.info.users,
        requests=None if said is None else said.n,
        notes=notes,
    )


def known_items(log_popularity: NDArray[np.float32]) -> NDArray[np.int64]:
    """The better known half of the items that were chosen in training: (n,) -> item numbers."""
    chosen = log_popularity[log_popularity > 0]
    least = float(np.median(chosen)) if len(chosen) else 0.0
    return np.flatnonzero(log_popularity >= least)


def _top_items(bundle: Bundle, top: int = TOP_ITEMS) -> NDArray[np.int64]:
    """The items of each intent, (K, top), the most relevant first.

    By g_j(v) less its mean over intents, which leaves how much more an item belongs here than elsewhere, plus
    `WEIGHT_OF_POPULARITY` times its log popularity, among known items: the "relevance" of Sievert and Shirley,
    "LDAvis" (2014), where g stands for the log of lift.
    """
    model = bundle.generative
    popularity = model.log_popularity.cpu().numpy()
    known = known_items(popularity)
    M, V = model.intent_vectors(), model.item_vectors()[torch.from_numpy(known).to(model.V.device)]
    g = ((M - M.mean(0)) @ V.T).cpu().numpy()  # (K, known)
    g += WEIGHT_OF_POPULARITY * popularity[known]
    return known[np.argsort(-g, axis=1, kind="stable")[:, :top]]


@torch.inference_mode()
def profiles(bundle: Bundle) -> NDArray[np.float64]:
    """A row per intent whose distances are those of the intents' scores over the catalogue, (K, d).

    g_j(v) = (m_j W_j).(v W_v), less its means over intents and over items, needs no (K, n): with the covariance
    C = L L^T of the items, inner products of (m_j W_j) L are inner products of whole rows of scores.
    """
    model = bundle.generative
    M = model.intent_vectors().double().cpu().numpy()
    V = model.item_vectors().double().cpu().numpy()
    covariance = np.cov(V, rowvar=False, bias=True)
    L = np.linalg.cholesky(covariance + 1e-9 * np.trace(covariance) * np.eye(len(covariance)))
    rows = (M - M.mean(0)) @ L
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _nearest(profile: NDArray[np.float64], most: int = 5) -> NDArray[np.int64]:
    near = profile @ profile.T
    np.fill_diagonal(near, -np.inf)
    return np.argsort(-near, axis=1, kind="stable")[:, : min(most, len(near) - 1)]


def project(profile: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Places on a map, (K, 2) in 0..1: t-SNE of the profiles from their principal components; near means alike.

    Distances between far places mean nothing, and neither do the axes (van der Maaten and Hinton, 2008).
    """
    from sklearn.manifold import TSNE  # late: a second

    K = len(profile)
    if K < 8:  # too few for neighbourhoods: principal components
        u, s, _ = np.linalg.svd(profile - profile.mean(0), full_matrices=False)
        found = np.zeros((K, 2))
        found[:, : min(2, len(s))] = (u * s)[:, :2]
    else:
        model = TSNE(2, perplexity=min(20, (K - 1) / 3), init="pca", random_state=seed)
        found = np.asarray(model.fit_transform(profile.astype(np.float32)), np.float64)
    found -= found.min(0)
    return found / np.maximum(found.max(0), 1e-12)


def _at_hand(bundle: Bundle, path: str | Path | None, notes: list[str]) -> PreparedDataset | None:
    """The data set of a bundle; None and a note where it is gone and none was named."""
    trained = Path(bundle.info.dataset.path)
    if path is None and not (trained / MANIFEST).is_file():
        notes.append(f"The data set is not at {trained}: words and sizes are left out (--dataset names it).")
        return None
    return dataset_of(bundle, path)


def _user_shares(bundle: Bundle, prepared: PreparedDataset) -> NDArray[np.float64]:
    """Mean of q over every user's training history, (K,)."""
    longest = bundle.info.config.em.max_history
    histories = training_sequences(prepared)
    histories = histories if longest is None else histories.newest(longest)
    total = torch.zeros(len(bundle.generative.M), dtype=torch.float64, device=bundle.behaviour.device)
    with step("reading histories", total=len(histories)) as bar:
        for start in range(0, len(histories), 4 * BATCH):
            part = histories[slice(start, start + 4 * BATCH)]
            total += bundle.inference.log_q(bundle.behaviour.encode_tensor(part)).exp().double().sum(0)
            bar.advance(len(part))
    return np.asarray((total / len(histories)).cpu().numpy())


def _said(bundle: Bundle, prepared: PreparedDataset, split: str, examples: int = 5) -> _Said:
    """Words of the training requests, share and examples of the requests of `split`."""
    texts, targets, f = _active(bundle, prepared, "train")
    with step("counting words") as bar:
        corpus = Corpus(texts, targets, intent_categories.category_values(bundle.items, bundle.columns))
        y, y2 = (np.asarray(corpus.counts.T @ weights, np.float64).T for weights in (f, f * f))  # (K, terms)
        words = telling_words(distinctive(y, y2), corpus.terms)
        bar.note(f"{len(texts):,} requests, {len(corpus.terms):,} words")
    if split != "train":
        texts, _, f = _active(bundle, prepared, split)
    best = torch.topk(torch.from_numpy(f), min(examples * 4, len(f)), dim=0).indices.T.tolist()  # (K, ..)
    shown = [list(dict.fromkeys(texts[row] for row in rows))[:examples] for rows in best]
    return _Said(share=f.mean(0, dtype=np.float64), words=words, examples=shown, n=len(texts))


def _active(
    bundle: Bundle, prepared: PreparedDataset, split: str
) -> tuple[list[str], list[int], NDArray[np.float32]]:
    """Requests of one split, sampled where they are many: texts, targets, and f(m | S, X) of each, (requests, K)."""
    requests = prepared.requests.filter(pl.col("split") == split)
    if requests.is_empty():
        raise UserError(f"{prepared.path} has no {split} requests.")
    if len(requests) > MOST_REQUESTS:
        requests = requests.sample(MOST_REQUESTS, seed=0)
    encoder = bundle.info.text_encoder.open(bundle.behaviour.device.type)
    histories = prepared.request_histories(requests)
    longest = bundle.info.config.em.max_history
    S = bundle.behaviour.encode_tensor(histories if longest is None else histories.newest(longest))
    texts = requests["text"].to_list()
    X = torch.from_numpy(embed(texts, encoder, name=f"{split} requests"))
    f = np.empty((len(texts), len(bundle.generative.M)), np.float32)
    for start in range(0, len(texts), BATCH):
        part = slice(start, start + BATCH)
        Z = bundle.generative.read(S[part], X[part].to(S.device))
        f[part] = bundle.generative.log_f(Z).exp().cpu().numpy()
    return texts, requests["target"].to_list(), f
