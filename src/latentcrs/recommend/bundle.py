"""The model bundle: the one folder that serving and evaluation read, and its manifest."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from latentcrs.base.checkpoint import load_tensors, save_tensors
from latentcrs.base.errors import UserError, first_line
from latentcrs.base.files import atomic_folder, refuse_other_format, sha256_of
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.comentions import CoMentions
from latentcrs.data import ColumnKind, PreparedDataset
from latentcrs.fit.rows import ClueReader
from latentcrs.intent import Config, GenerativeModel, InferenceModel
from latentcrs.recommend.explain import label_intents
from latentcrs.recommend.index import ItemIndex, kind_for
from latentcrs.text import TextEncoder, open_encoder, same_model
from latentcrs.text.lexical import Lexical

MANIFEST = "bundle.json"
INDEX = "index.faiss"
LIKELY = 0.4
"""The part of relevance that is the likelihood itself (lambda); the rest tells an intent's items apart."""
CLUES, OUTSIDE, HIDDEN = "clues.safetensors", "outside.parquet", "hidden.parquet"
"""Words and co-mentions, and the things outside of the catalogue that conversations talk of."""
BEHAVIOUR_INDEX = "behaviour.faiss"
"""The index of V, written for a large catalogue; for a small one it is made in no time."""

JOINED = "V_joined"
"""The behaviour embeddings of items that joined the catalogue after training, among the tensors of `intent`."""

FORMAT = 1
"""Of a bundle: counted up when an older version could not read it any more."""
NEEDED = ("behaviour.safetensors", "intent.safetensors", "items.parquet", "intents.parquet")


class BundleDataset(BaseModel):
    """The data set a bundle was trained on."""

    path: str
    name: str
    checksums: dict[str, str]  # of its files
    terms: str
    users: int
    items: int
    interactions: int
    columns: dict[str, ColumnKind]
    repeats: bool = False  # items come again in a history (groceries): those in it stay recommendable


class BundleEncoder(BaseModel):
    """The text encoder a bundle was trained with: how to open it, and its identity."""

    spec: str
    id: str
    width: int

    def check(self, encoder: TextEncoder) -> TextEncoder:
        """`encoder`, if it is this one.

        Raises:
            UserError: it is another.
        """
        if not same_model(encoder.id, self.id):
            raise UserError(
                f"This bundle was trained with the text encoder {self.id}, not {encoder.id}; use that one, or train "
                "again with this one."
            )
        return encoder

    def open(self, device: str) -> TextEncoder:
        """This encoder. Raises `UserError` where what is here under its name is another."""
        return self.check(open_encoder(self.spec, device))


class BundleInfo(BaseModel):
    """`bundle.json`: configuration, origin, versions, validation figures, checksums of the other files."""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    command: str
    config: Config
    dataset: BundleDataset
    text_encoder: BundleEncoder
    report: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    checksums: dict[str, str] = Field(default_factory=dict)


POPULARITY = "popularity"


@dataclass
class Bundle:
    """A bundle in memory."""

    info: BundleInfo
    behaviour: BehaviourEncoder
    inference: InferenceModel
    generative: GenerativeModel
    items: pl.DataFrame
    intents: pl.DataFrame  # intent, label, titles
    index: ItemIndex
    behaviour_index: ItemIndex | None = None  # of a large catalogue: that of V, ready
    reader: ClueReader | None = None  # of the clues in what is said, where the model uses them
    outside: pl.DataFrame | None = None  # title, year, conversations: what is talked of and not sold here
    hidden: frozenset[int] = frozenset()  # numbers of items that are never recommended

    @property
    def columns(self) -> Mapping[str, ColumnKind]:
        """The catalogue's attribute columns and their kinds."""
        return self.info.dataset.columns

    @cached_property
    def facts(self) -> tuple[pl.DataFrame, Mapping[str, ColumnKind]]:
        """What conditions and orders may speak of: items and columns of the catalogue, with in how many histories of
        the log an item is, unless a column is called `POPULARITY` already.
        """
        if POPULARITY in self.items.columns:
            return self.items, self.columns
        chosen = np.rint(np.expm1(self.generative.log_popularity.cpu().numpy())).astype(np.int64)
        return self.items.with_columns(pl.Series(POPULARITY, chosen)), {**self.columns, POPULARITY: "number"}

    @property
    def trained_items(self) -> int:
        """How many items the bundle was trained on; those behind them joined the catalogue later."""
        return self.info.dataset.items


def make_bundle(
    dataset: PreparedDataset,
    behaviour: BehaviourEncoder,
    inference: InferenceModel,
    generative: GenerativeModel,
    encoder: TextEncoder,
    config: Config,
    report: dict[str, Any],
    command: str,
    reader: ClueReader | None = None,
) -> Bundle:
    """What was trained as a bundle in memory, the same as one that was saved and loaded."""
    inference, generative = inference.eval(), generative.eval()
    with torch.inference_mode():
        affinity = relevance(generative)
        vectors = generative.items().cpu().numpy()
    V = generative.V.cpu().numpy()
    generative.T = generative.T.half().float()  # as precisely as it is saved
    versions = {name: version(name) for name in ("latentcrs", "torch", "faiss-cpu", "sentence-transformers")}
    info = BundleInfo(
        command=command,
        config=config,
        dataset=BundleDataset.model_validate({**dict(dataset.info), "path": str(dataset.path.resolve())}),
        text_encoder=BundleEncoder(spec=config.text_encoder, id=encoder.id, width=encoder.width),
        report=report,
        versions={"python": platform.python_version(), **versions},
    )
    return Bundle(
        info=info,
        behaviour=behaviour,
        inference=inference,
        generative=generative,
        items=dataset.items,
        intents=label_intents(affinity, dataset.items, dataset.info.columns),
        index=ItemIndex.build(vectors),
        behaviour_index=ItemIndex.build(V) if kind_for(*V.shape) != "full" else None,
        reader=reader,
        outside=None if reader is None else dataset.outside,
    )


def save_bundle(out: Path, bundle: Bundle) -> BundleInfo:
    """Write a bundle to the folder `out`, whole or not at all; items that joined it are in it.

    Raises:
        UserError: `out` is a file, or a folder that holds something else.
    """
    generative, trained = bundle.generative, bundle.trained_items
    tensors: dict[str, Tensor] = {f"q/{name}": tensor for name, tensor in bundle.inference.state_dict().items()}
    tensors |= {f"fg/{name}": tensor for name, tensor in generative.state_dict().items()}
    tensors |= {name: getattr(generative, name) for name in ("log_popularity", "log_suggested")}
    tensors["T"] = generative.T.half()
    if len(bundle.items) > trained:
        tensors[JOINED] = generative.V[trained:]
    with atomic_folder(out, MANIFEST) as folder:
        bundle.behaviour.save(folder / "behaviour.safetensors", bundle.info.report.get("behaviour"))
        save_tensors(folder / "intent.safetensors", tensors, {})
        bundle.items.write_parquet(folder / "items.parquet")
        bundle.intents.write_parquet(folder / "intents.parquet")
        if bundle.reader is not None:
            save_clues(folder / CLUES, bundle.reader)
        if bundle.outside is not None:
            bundle.outside.write_parquet(folder / OUTSIDE)
        if bundle.hidden:
            bundle.items.select("item_id")[sorted(bundle.hidden)].write_parquet(folder / HIDDEN)
        bundle.index.save(folder / INDEX)
        if bundle.behaviour_index is not None:
            bundle.behaviour_index.save(folder / BEHAVIOUR_INDEX)
        checksums = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        info = bundle.info.model_copy(update={"checksums": checksums})
        (folder / MANIFEST).write_text(info.model_dump_json(indent=2), "utf-8")
    return info


def read_manifest(folder: Path) -> BundleInfo:
    """`bundle.json` of a folder.

    Raises:
        UserError: the folder is not a bundle, or one that another version wrote.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a model bundle (no {MANIFEST}); make one with 'latentcrs train'.")
    try:
        text = path.read_text("utf-8")
        refuse_other_format(path, json.loads(text), FORMAT)  # before all else: what a newer one holds is not known
        return BundleInfo.model_validate_json(text)
    except ValueError as error:  # no UTF-8, no JSON, no manifest
        raise UserError(f"{path} cannot be read ({first_line(error)}); train again.") from None


def load_bundle(folder: str | Path, device: str = "cpu") -> Bundle:
    """Read a bundle, checking every file against its checksum.

    Raises:
        UserError: no bundle there, a file missing or changed.
    """
    folder = Path(folder)
    info = read_manifest(folder)
    unchecked = next((name for name in NEEDED if name not in info.checksums), None)
    if unchecked is not None:
        raise UserError(f"{folder / MANIFEST} has no checksum of {unchecked}; train again.")
    for name, expected in info.checksums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing from the bundle; train again.")
        if sha256_of(path) != expected:
            raise UserError(f"{path} has changed since it was written (checksum); train again.")
    behaviour = BehaviourEncoder.load(folder / "behaviour.safetensors", device)
    tensors, _ = load_tensors(folder / "intent.safetensors")
    tensors = {name: tensor.to(behaviour.device) for name, tensor in tensors.items()}
    own = behaviour.item_vectors()
    V, items = own, pl.read_parquet(folder / "items.parquet")
    if JOINED in tensors:
        V = torch.cat([V, tensors[JOINED]])
    if len(V) != len(items):
        raise UserError(f"{folder} has {len(items):,} items and vectors of {len(V):,}; train again.")
    inference = InferenceModel(tensors["q/M"], own)
    arrays = tensors["q/M"], V, tensors["T"].float(), tensors["log_popularity"]
    generative = GenerativeModel(*arrays, info.config.model, tensors.get("log_suggested")).to(behaviour.device)
    try:
        inference.load_state_dict({name[2:]: tensor for name, tensor in tensors.items() if name.startswith("q/")})
        generative.load_state_dict({name[3:]: tensor for name, tensor in tensors.items() if name.startswith("fg/")})
    except RuntimeError:
        written = f"LatentCRS {info.versions.get('latentcrs', 'another version')}"
        raise UserError(f"{folder} was written by {written} and does not fit this one; train again.") from None
    return Bundle(
        info=info,
        behaviour=behaviour,
        inference=inference.to(behaviour.device).eval(),
        generative=generative.eval(),
        items=items,
        intents=pl.read_parquet(folder / "intents.parquet"),
        index=ItemIndex.load(folder / INDEX),
        behaviour_index=ItemIndex.load(folder / BEHAVIOUR_INDEX) if BEHAVIOUR_INDEX in info.checksums else None,
        reader=load_clues(folder / CLUES) if CLUES in info.checksums else None,
        outside=pl.read_parquet(folder / OUTSIDE) if OUTSIDE in info.checksums else None,
        hidden=frozenset(rows_of_items(items, folder / HIDDEN) if HIDDEN in info.checksums else ()),
    )


def rows_of_items(items: pl.DataFrame, ids: Path) -> list[int]:
    """The numbers of the items whose ids stand in a file."""
    return items["item_id"].is_in(pl.read_parquet(ids)["item_id"].implode()).arg_true().to_list()


def relevance(model: GenerativeModel) -> NDArray[np.float32]:
    """How much an item stands for an intent, (K, n): log p(v | m_j), less most of what it is under all intents.

    The "relevance" of Sievert and Shirley, "LDAvis" (2014): likely under the intent, and more than elsewhere.
    """
    likelihood = torch.log_softmax(model.intent_vectors() @ model.item_vectors().T, 1)
    return (likelihood - (1 - LIKELY) * likelihood.logsumexp(0)).cpu().numpy()


def save_clues(path: Path, reader: ClueReader) -> None:
    """Write what clues are read with as one safetensors file."""
    lexical, talk = reader.lexical, reader.comentions
    words = np.frombuffer("\n".join(lexical.words).encode(), np.uint8)
    tensors = {"words": torch.tensor(words), "idf": torch.from_numpy(lexical.idf)}
    tensors |= {"telling": torch.from_numpy(lexical.telling)} | sparse_tensors("weights", lexical.weights)
    if talk is not None:
        tensors |= sparse_tensors("C", talk.C)
        tensors |= {"named": torch.from_numpy(talk.named), "suggested": torch.from_numpy(talk.suggested)}
    save_tensors(path, tensors, {"average": lexical.average})


def load_clues(path: Path) -> ClueReader:
    """What `save_clues` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    tensors, about = load_tensors(path)
    words = tensors["words"].numpy().tobytes().decode()
    known, telling = words.split("\n") if words else [], tensors.get("telling")
    told = None if telling is None else telling.numpy()
    lexical = Lexical(known, sparse_of("weights", tensors), tensors["idf"].numpy(), about["average"], told)
    if "named" not in tensors:
        return ClueReader(lexical, None)
    talk = CoMentions(sparse_of("C", tensors), tensors["named"].numpy(), tensors["suggested"].numpy())
    return ClueReader(lexical, talk)


def sparse_tensors(name: str, matrix: sp.csr_matrix) -> dict[str, Tensor]:
    """A sparse matrix as tensors that a file can hold."""
    parts = {part: torch.from_numpy(getattr(matrix, part)) for part in ("data", "indices", "indptr")}
    parts["shape"] = torch.tensor(matrix.shape)
    return {f"{name}/{part}": tensor for part, tensor in parts.items()}


def sparse_of(name: str, tensors: Mapping[str, Tensor]) -> sp.csr_matrix:
    """The matrix that `sparse_tensors` took apart."""
    data, indices, indptr = (tensors[f"{name}/{part}"].numpy() for part in ("data", "indices", "indptr"))
    return sp.csr_matrix((data, indices, indptr), tuple(tensors[f"{name}/shape"].tolist()))
