"""The model bundle: the one folder that serving and evaluation read, and its manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from latentcrs.behaviour import BehaviourEncoder
from latentcrs.checkpoint import load_tensors, save_tensors
from latentcrs.data import ColumnKind, PreparedDataset
from latentcrs.errors import UserError, first_line
from latentcrs.files import atomic_folder, sha256_of
from latentcrs.intent import Config, GenerativeModel, InferenceModel
from latentcrs.language import TextEncoder
from latentcrs.recommend.explain import label_intents
from latentcrs.recommend.index import ItemIndex, kind_for

MANIFEST = "bundle.json"
INDEX = "index.faiss"
BEHAVIOUR_INDEX = "behaviour.faiss"
"""The index of V, written for a large catalogue; for a small one it is made in no time."""


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


class BundleEncoder(BaseModel):
    """The text encoder a bundle was trained with: how to open it, and its identity."""

    spec: str
    id: str
    width: int


class BundleInfo(BaseModel):
    """`bundle.json`: configuration, origin, versions, validation figures, checksums of the other files."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    command: str
    config: Config
    dataset: BundleDataset
    text_encoder: BundleEncoder
    report: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    checksums: dict[str, str] = Field(default_factory=dict)


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

    @property
    def columns(self) -> Mapping[str, ColumnKind]:
        """The catalogue's attribute columns and their kinds."""
        return self.info.dataset.columns

    @property
    def trained_items(self) -> int:
        """How many items the bundle was trained on; those behind them joined the catalogue later."""
        return self.info.dataset.items


def save_bundle(
    out: Path,
    dataset: PreparedDataset,
    behaviour: BehaviourEncoder,
    inference: InferenceModel,
    generative: GenerativeModel,
    encoder: TextEncoder,
    config: Config,
    report: dict[str, Any],
    command: str,
) -> BundleInfo:
    """Write a bundle to the folder `out`, whole or not at all."""
    with torch.inference_mode():
        affinity = (generative.intent_vectors() @ generative.item_vectors().T).cpu().numpy()
        vectors = generative.items().cpu().numpy()
    tensors: dict[str, Tensor] = {f"q/{name}": tensor for name, tensor in inference.state_dict().items()}
    tensors |= {f"fg/{name}": tensor for name, tensor in generative.state_dict().items()}
    tensors |= {"T": generative.T.half(), "log_popularity": generative.log_popularity}
    info = BundleInfo(
        command=command,
        config=config,
        dataset=BundleDataset(
            path=str(dataset.path.resolve()),
            checksums=dataset.info.checksums,
            **{
                key: getattr(dataset.info, key)
                for key in ("name", "terms", "users", "items", "interactions", "columns")
            },
        ),
        text_encoder=BundleEncoder(spec=config.text_encoder, id=encoder.id, width=encoder.width),
        report=report,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("latentcrs", "torch", "faiss-cpu", "sentence-transformers")},
        },
    )
    with atomic_folder(out, MANIFEST) as folder:
        behaviour.save(folder / "behaviour.safetensors", report.get("behaviour"))
        save_tensors(folder / "intent.safetensors", tensors, {})
        dataset.items.write_parquet(folder / "items.parquet")
        label_intents(affinity, dataset.items, dataset.info.columns).write_parquet(folder / "intents.parquet")
        ItemIndex.build(vectors).save(folder / INDEX)
        if kind_for(*generative.V.shape) != "full":
            ItemIndex.build(generative.V.cpu().numpy()).save(folder / BEHAVIOUR_INDEX)
        info.checksums = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        (folder / MANIFEST).write_text(info.model_dump_json(indent=2), "utf-8")
    return info


def read_manifest(folder: Path) -> BundleInfo:
    """`bundle.json` of a folder.

    Raises:
        UserError: the folder is not a bundle.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a model bundle (no {MANIFEST}); make one with 'latentcrs train'.")
    try:
        return BundleInfo.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}); train again.") from None


def load_bundle(folder: str | Path, device: str = "cpu") -> Bundle:
    """Read a bundle, checking every file against its checksum.

    Raises:
        UserError: no bundle there, a file missing or changed.
    """
    folder = Path(folder)
    info = read_manifest(folder)
    for name, expected in info.checksums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing from the bundle; train again.")
        if sha256_of(path) != expected:
            raise UserError(f"{path} has changed since it was written (checksum); train again.")
    behaviour = BehaviourEncoder.load(folder / "behaviour.safetensors", device)
    tensors, _ = load_tensors(folder / "intent.safetensors")
    tensors = {name: tensor.to(behaviour.device) for name, tensor in tensors.items()}
    V = behaviour.network.item_weights().detach()
    inference = InferenceModel(tensors["q/M"], V)
    generative = GenerativeModel(
        tensors["q/M"], V, tensors["T"].float(), tensors["log_popularity"], info.config.model
    ).to(behaviour.device)
    try:
        inference.load_state_dict({name[2:]: tensor for name, tensor in tensors.items() if name.startswith("q/")})
        generative.load_state_dict({name[3:]: tensor for name, tensor in tensors.items() if name.startswith("fg/")})
    except RuntimeError:
        written = info.versions.get("latentcrs", "another version")
        raise UserError(
            f"{folder} was written by LatentCRS {written} and does not fit this one; train again."
        ) from None
    return Bundle(
        info=info,
        behaviour=behaviour,
        inference=inference.to(behaviour.device).eval(),
        generative=generative.eval(),
        items=pl.read_parquet(folder / "items.parquet"),
        intents=pl.read_parquet(folder / "intents.parquet"),
        index=ItemIndex.load(folder / INDEX),
        behaviour_index=ItemIndex.load(folder / BEHAVIOUR_INDEX) if BEHAVIOUR_INDEX in info.checksums else None,
    )
