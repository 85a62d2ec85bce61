"""Text encoders: sentences in, vectors out, whichever model does it."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.device import fast_dtype, resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.plugins import is_plugged_in, load_plugin, plugin_names
from latentcrs.text import model_folders

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float", "float32", "bfloat16", "int8"]
PRECISIONS = get_args(Precision)
INT8 = "-int8"  # how the `id` of an encoder ends that computes in int8
Progress = Callable[[int], None]  # called with the number of texts just finished

PROMPT_EOL = 'This sentence: "{}" means in one word:"'
# Padded tokens in one batch: a GPU gains while it is not full; a CPU loses what does not fit its caches (4,096 take
# 1.6 times the processor time of 1,024 over requests of 20 tokens).
TOKENS_PER_BATCH = {"cpu": 1024, "mps": 16_384, "cuda": 65_536}


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors. Vectors of two compare only where their `id` is the same, or by `same_model`."""

    @property
    def id(self) -> str:
        """Names the model, its weights, pooling and int8, but no kind of floating-point numbers. A safe file name."""

    @property
    def width(self) -> int:
        """How many numbers one vector has."""

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """The vectors of `texts`, in their order: (len(texts), width). `progress` hears of every batch."""


@dataclass(frozen=True)
class TokenStates:
    """A text as a model reads it. offsets (L, 2): a token's characters. states (L, width). vector: as `encode`'s."""

    offsets: list[tuple[int, int]]
    states: NDArray[np.float32]
    vector: NDArray[np.float32]


class LocalEncoder(ABC):
    """A model in a folder, loaded at the first text and not before; safe to share between threads.

    Args:
        folder: the model's folder.
        name: how the model is called in `id`; the folder's own name by default.
        device: auto, cpu, cuda or mps.
        precision: float takes bfloat16 where the device computes with it natively, float32 elsewhere; auto, which
            LATENTCRS_PRECISION decides where it is set, is the same, but takes int8 in place of float32 where the
            model has it.
        tokens_per_batch: padded tokens in one batch; by default what suits the device.
    """

    kind: Literal["sentence-transformers", "causal-lm"]
    recipe: str  # what turns the model's output into a vector; part of `id`

    def __init__(
        self,
        folder: Path,
        name: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        tokens_per_batch: int | None = None,
    ) -> None:
        if not Path(folder).is_dir():
            raise UserError(f"There is no model folder {folder}.")
        if device not in ("auto", "cpu"):
            resolve_device(device)  # says at once that a device is missing; the rest waits for the first text
        if precision == "auto":
            precision = cast(Precision, os.environ.get("LATENTCRS_PRECISION") or "auto")
            if precision not in PRECISIONS:
                raise UserError(f"LATENTCRS_PRECISION={precision} is none of {', '.join(PRECISIONS)}.")
        self.folder = Path(folder)
        self.name = name or self.folder.name
        self._device_name, self._precision, self._tokens_per_batch = device, precision, tokens_per_batch
        self._id: str | None = None
        self._width: int | None = None
        self._model: Any = None
        self._lock = threading.RLock()  # tokenizers are not safe in two threads at once
        self._next = threading.Lock()

    @property
    def id(self) -> str:
        if self._id is None:
            digest = hashlib.sha256(f"{self.recipe}\n{model_folders.fingerprint(self.folder)}".encode()).hexdigest()[
                :16
            ]
            self._id = f"{re.sub(r'[^A-Za-z0-9._-]+', '--', self.name).strip('.-')[:80]}-{digest}"
        return self._id + INT8 * self.int8

    @property
    def width(self) -> int:
        if self._width is None:
            self._width = model_folders.embedding_width(self.folder, self.kind) or self.encode([""]).shape[1]
        return self._width

    @property
    def int8(self) -> bool:
        """Whether the model computes in int8 here."""
        import torch

        return self.dtype == torch.int8

    @cached_property
    def device(self) -> torch.device:
        """Where the model runs."""
        return resolve_device(self._device_name)

    @cached_property
    def dtype(self) -> torch.dtype:
        """What the model computes in; `torch.int8` stands for whole numbers in its products alone.

        Raises:
            UserError: int8 was asked for, and this model has none, or this machine.
        """
        import torch

        if self._precision == "auto":
            return self._automatic_dtype()
        if self._precision == "float":
            return fast_dtype(self.device)
        if self._precision == "int8" and not self._int8_here():
            raise UserError(f"The encoder {self.name} has no int8 on this machine; take float.")
        return cast("torch.dtype", getattr(torch, self._precision))

    def _automatic_dtype(self) -> torch.dtype:
        return fast_dtype(self.device)

    def _int8_here(self) -> bool:
        return False

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory yet."""
        return self._model is not None

    def load(self) -> None:
        """Load the model now rather than at the first text (seconds).

        Raises:
            UserError: the folder's files do not make a model.
        """
        with self._lock:
            if self._model is not None:
                return
            _ = self.dtype  # what is asked for in vain is said before anything is read
            self._budget = self._tokens_per_batch or TOKENS_PER_BATCH[self.device.type]
            try:
                model = self._load()
            except Exception as error:  # whatever it is, it is about these files, and each library raises its own
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise UserError(f"The model in {self.folder} cannot be loaded: {first}") from error
            self._model = model

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many tokens the model reads of each text, after truncation: (len(texts),)."""
        self.load()
        with self._lock:
            return self._count(_encodable(texts))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The model to oneself, one after the other in the order of coming: a lock alone is had again by whoever has
        just let go of it, and whoever embeds many texts in a row would keep it from all others.
        """
        with self._next:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """The vectors of `texts`, in their order: (len(texts), width) float32.

        Texts of like length share a batch, so that little is spent on padding.

        Raises:
            UserError: the model cannot be loaded.
        """
        import torch

        if not len(texts):
            return np.empty((0, self.width), np.float32)
        self.load()
        vectors: NDArray[np.float32] | None = None
        with self._turn(), torch.inference_mode():
            clean = _encodable(texts)
            counts = self._count(clean) if len(clean) > 1 else np.ones(1, np.int64)
            for rows in length_batches(counts, self._budget):
                batch = self._forward([clean[row] for row in rows]).float().cpu().numpy()
                if vectors is None:
                    vectors = np.empty((len(texts), batch.shape[1]), np.float32)
                vectors[rows] = batch
                if progress is not None:
                    progress(len(rows))
        assert vectors is not None
        return vectors

    @abstractmethod
    def _load(self) -> Any:
        """The model, on `self.device` in `self.dtype`."""

    @abstractmethod
    def _count(self, texts: list[str]) -> NDArray[np.int64]:
        """Tokens of each text."""

    @abstractmethod
    def _forward(self, texts: list[str]) -> torch.Tensor:
        """One batch through the model: (len(texts), width)."""


class SentenceEncoder(LocalEncoder):
    """A sentence-transformers model; vectors have length 1."""

    kind = "sentence-transformers"
    recipe = "sentence-transformers, L2"

    def _load(self) -> Any:
        with model_folders.quiet_loading():
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(str(self.folder), device=str(self.device), local_files_only=True).eval()
        # Only the transformer runs in bfloat16: pooling and everything after it is cheap, and adds up many numbers.
        if hasattr(model[0], "auto_model"):
            model[0].to(self.dtype)
        self._prompt = (model.prompts or {}).get(model.default_prompt_name or "") or None
        self._longest = int(model.max_seq_length or 512)
        return model

    def _count(self, texts: list[str]) -> NDArray[np.int64]:
        tokenizer: Any = getattr(self._model, "tokenizer", None)
        if not hasattr(tokenizer, "pad"):  # a model with a tokenizer of its own kind: four characters to a token
            return np.array([1 + len(text) // 4 for text in texts], np.int64)
        encoded = tokenizer(
            texts, truncation=True, max_length=self._longest, return_attention_mask=False, verbose=False
        )
        return np.array([len(ids) for ids in encoded["input_ids"]], np.int64)

    def _forward(self, texts: list[str]) -> torch.Tensor:
        import torch

        # The model's own modules one by one: `SentenceTransformer.encode` takes a quarter longer over one sentence.
        features = dict(self._model.preprocess(texts, prompt=self._prompt))
        features = {k: v.to(self.device) if torch.is_tensor(v) else v for k, v in features.items()}
        for position, module in enumerate(self._model):
            features = module(features)
            if position == 0 and torch.is_tensor(features.get("token_embeddings")):
                features["token_embeddings"] = features["token_embeddings"].float()
        return torch.nn.functional.normalize(features["sentence_embedding"].float(), dim=1)


class PromptEOL(LocalEncoder):
    """Any causal language model as an encoder: the last hidden state after `This sentence: "…" means in one word:"`
    (Jiang et al., "Scaling Sentence Embeddings with Large Language Models", 2023).

    The vectors are the model's own: neither centred nor of length 1. Hidden states of language models share one large
    common direction, so subtract the mean over the texts at hand before taking cosines. That mean belongs to a data
    set and not to the model, so it is the caller's to keep.
    """

    kind = "causal-lm"
    longest = 512  # tokens of the text; what is longer is cut inside the quotation, never the prompt's end
    recipe = f"PromptEOL {PROMPT_EOL} last token, at most {longest} tokens of text"

    def _load(self) -> Any:
        from transformers import AutoModel, AutoTokenizer

        with model_folders.quiet_loading():
            self._tokenizer = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
            model = AutoModel.from_pretrained(str(self.folder), local_files_only=True)
        # On the left, so that the last position of every row is its last token.
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        room = getattr(model.config, "max_position_embeddings", None) or getattr(model.config, "n_positions", None)
        prompt_tokens = len(self._tokenizer(PROMPT_EOL)["input_ids"])
        self._text_tokens = min(self.longest, (room or 1 << 30) - prompt_tokens - 2)
        return model.to(device=self.device, dtype=self.dtype).eval()

    def _prompts(self, texts: list[str]) -> list[str]:
        # A quotation mark inside the text would end the quotation early.
        quoted = [text.replace('"', "'") for text in texts]
        ids = self._tokenizer(quoted, add_special_tokens=False, verbose=False)["input_ids"]
        for row, tokens in enumerate(ids):
            if len(tokens) > self._text_tokens:
                quoted[row] = str(self._tokenizer.decode(tokens[: self._text_tokens], skip_special_tokens=True))
        return [PROMPT_EOL.format(text) for text in quoted]

    def _count(self, texts: list[str]) -> NDArray[np.int64]:
        encoded = self._tokenizer(self._prompts(texts), verbose=False)
        return np.array([len(ids) for ids in encoded["input_ids"]], np.int64)

    def _forward(self, texts: list[str]) -> torch.Tensor:
        inputs = self._tokenizer(self._prompts(texts), padding=True, return_tensors="pt", verbose=False)
        ids, mask = inputs["input_ids"].to(self.device), inputs["attention_mask"].to(self.device)  # (B, T) both
        extra = {}
        if self._takes_positions:
            # Padding on the left must not shift where a text begins.
            extra["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        hidden = self._model(input_ids=ids, attention_mask=mask, use_cache=False, **extra).last_hidden_state
        return hidden[:, -1]  # (B, T, width) -> (B, width)


def same_model(one: str, other: str) -> bool:
    """Whether two ids name one model, maybe once in int8: vectors compare, but are never kept in one cache."""
    return one.removesuffix(INT8) == other.removesuffix(INT8)


def length_batches(counts: NDArray[np.integer], budget: int) -> Iterator[NDArray[np.int64]]:
    """Rows in batches within `budget` tokens (rows times the longest; one row may exceed it), longest first."""
    order = np.argsort(-counts, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, int(budget // max(1, counts[order[start]])))
        yield order[start : start + size]
        start += size


def open_encoder(spec: str = "minilm", device: str = "auto", precision: Precision = "auto") -> TextEncoder:
    """The encoder that `spec` names; nothing is loaded, and no endpoint asked, before the first text.

    `minilm` (inside a package, needs no network), `st:NAME_OR_FOLDER` (any sentence-transformers model),
    `prompteol:NAME_OR_FOLDER` (any causal language model), a bare folder, whose kind is recognised, or
    `https://host/v1#MODEL`, a model behind an OpenAI-compatible embeddings endpoint; `NAME` or `NAME:...` is a
    plug-in's (`base.plugins`).

    Raises:
        UserError: no such model, or no such device.
    """
    if spec.startswith(("http://", "https://")):
        from latentcrs.text.endpoint import open_endpoint

        return open_endpoint(spec)
    if spec == "minilm":
        from latentcrs.text.minilm import MiniLM

        return MiniLM(model_folders.embedded_minilm(), "minilm", device, precision)
    scheme, _, rest = spec.partition(":")
    classes: dict[str, type[LocalEncoder]] = {"st": SentenceEncoder, "prompteol": PromptEOL}
    if scheme in classes and rest:
        folder = model_folders.find_model(rest)
        name = folder.name if Path(rest).expanduser().is_dir() else rest
        return classes[scheme](folder, name, device, precision)
    if is_plugged_in("encoder", scheme):
        encoder: TextEncoder = load_plugin("encoder", scheme)(rest, device, precision)
        return encoder
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        others = "".join(f"{name}, " for name in plugin_names("encoder"))
        raise UserError(
            f"There is no encoder '{spec}'; write minilm, st:NAME_OR_FOLDER, prompteol:FOLDER, {others}a model's "
            "folder, or https://host/v1#MODEL."
        )
    folder = folder.resolve()
    chosen = SentenceEncoder if model_folders.folder_kind(folder) == "sentence-transformers" else PromptEOL
    return chosen(folder, None, device, precision)


def _encodable(texts: Sequence[str]) -> list[str]:
    """Half a surrogate pair, as broken logs have them, is no Unicode text; tokenizers refuse it."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
