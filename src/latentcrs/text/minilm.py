"""all-MiniLM-L6-v2 in plain PyTorch: the default encoder, open ten times as fast as by sentence-transformers."""

from __future__ import annotations

import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentcrs.text.encoders import LocalEncoder, Progress, SentenceEncoder, TokenStates, _encodable, length_batches
from latentcrs.text.model_folders import read_json

if TYPE_CHECKING:
    from torch import Tensor

PRODUCT = "linear_with_input_q_dq_qweight_dq_output_fp32"


def has_int8() -> bool:
    """Whether this PyTorch computes int8 products on this machine's processor (x86 alone)."""
    import torch

    # PyTorch means to move these functions out one day; a version without them computes in floating point.
    there = hasattr(torch, "quantize_per_channel") and hasattr(torch.ops.quantized, PRODUCT)
    return there and "fbgemm" in torch.backends.quantized.supported_engines


class Int8Linear:
    """x W' + b in int8: W with a scale for each output, x for each row: a text's vector depends on no other."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """weight (out, in) and bias (out,) are float32 and on the CPU."""
        import torch

        scales, zeros = weight.abs().amax(1).double() / 127, torch.zeros(len(weight), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # see `has_int8`
            quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        engine = torch.backends.quantized.engine
        torch.backends.quantized.engine = "fbgemm"
        try:
            self._packed = torch.ops.quantized.linear_prepack(quantized, None)
        finally:
            torch.backends.quantized.engine = engine
        self._bias = bias
        self._product = getattr(torch.ops.quantized, PRODUCT)

    def __call__(self, x: Tensor) -> Tensor:
        """x (..., in) float32 -> (..., out) float32."""
        import torch

        largest = torch.maximum(x.amax(-1, keepdim=True), x.amin(-1, keepdim=True).neg_()).clamp_min_(1e-12)
        product = self._product(x * largest.reciprocal(), 1 / 127, 128, self._packed)
        return torch.addcmul(self._bias, product, largest, out=product)


RECENT = 24
"""Texts read alone whose vectors are kept: what was heard is looked for next, and looked for again for more of it."""
STATE_LAYERS = (2, 5)
"""The layers, from 0, whose states are handed out: what is denied is still told apart in the middle."""

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from tokenizers import Tokenizer
    from torch import Tensor


class MiniLM(LocalEncoder):
    """A BERT whose tokens are averaged (Reimers and Gurevych, "Sentence-BERT", 2019). The vectors, of length 1, are
    those of `SentenceEncoder` with the same folder, so both have one `id`; in int8 they are near it (cosine 0.996),
    and the `id` says so.
    """

    kind = SentenceEncoder.kind
    recipe = SentenceEncoder.recipe

    _linears: dict[str, Callable[[Tensor], Tensor]]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._recent: dict[str, NDArray[np.float32]] = {}
        self._recent_lock = threading.Lock()  # the other one is held for as long as a batch takes

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """See `LocalEncoder.encode`. One text alone that was read alone just before is not read again."""
        if len(texts) != 1:
            return super().encode(texts, progress)
        vector = self._recent.get(texts[0])
        if vector is None:
            vector = super().encode(texts)[0]
            self._remember(texts[0], vector)
        if progress is not None:
            progress(1)
        return vector[None].copy()

    def _remember(self, text: str, vector: NDArray[np.float32]) -> None:
        with self._recent_lock:
            self._recent[text] = vector
            if len(self._recent) > RECENT:
                del self._recent[next(iter(self._recent))]

    def _automatic_dtype(self) -> torch.dtype:
        import torch

        dtype = super()._automatic_dtype()
        return torch.int8 if dtype == torch.float32 and self._int8_here() else dtype

    def _int8_here(self) -> bool:
        return self.device.type == "cpu" and has_int8()

    def _load(self) -> Any:
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from torch.nn import functional as F

        config = read_json(self.folder / "config.json")
        self._layers, self._heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
        self._epsilon, self._pad = float(config["layer_norm_eps"]), int(config["pad_token_id"])
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        longest = read_json(self.folder / "sentence_bert_config.json")["max_seq_length"]
        self._tokenizer.enable_truncation(int(longest))
        self._tokenizer.no_padding()
        eight_bits = self.dtype == torch.int8
        weights = {
            name: tensor.to(self.device, torch.float32 if eight_bits else self.dtype)
            for name, tensor in load_file(self.folder / "model.safetensors").items()
            if tensor.is_floating_point() and not name.startswith("pooler.")
        }
        self._linears = {}
        for number in range(self._layers):
            layer = f"encoder.layer.{number}"
            # What reads the same states is one product.
            parts = {"attention.self": [f"attention.self.{name}" for name in ("query", "key", "value")]}
            parts |= {name: [name] for name in ("attention.output.dense", "intermediate.dense", "output.dense")}
            for name, joined in parts.items():
                weight, bias = (
                    torch.cat([weights.pop(f"{layer}.{part}.{kind}") for part in joined])
                    for kind in ("weight", "bias")
                )
                linear = Int8Linear(weight, bias) if eight_bits else partial(F.linear, weight=weight, bias=bias)
                self._linears[f"{layer}.{name}"] = linear
        return weights

    def _count(self, texts: list[str]) -> NDArray[np.int64]:
        return np.array([len(found.ids) for found in self._tokenizer.encode_batch(texts)], np.int64)

    def states(self, texts: Sequence[str]) -> list[TokenStates]:
        """What the model reads of each text, token by token, in one pass; see `TokenStates`."""
        import torch

        self.load()
        with self._lock, torch.inference_mode():
            tokens = self._tokenizer.encode_batch(_encodable(texts))
            found: dict[int, TokenStates] = {}
            for rows in length_batches(np.array([len(one.ids) for one in tokens], np.int64), self._budget):
                # All in one row, where each sees itself alone: what is heard is not padded to the reply before it.
                part = [tokens[row] for row in rows]
                ids = torch.tensor([[token for one in part for token in one.ids]], device=self.device)
                whose = torch.tensor([n for n, one in enumerate(part) for _ in one.ids], device=self.device)
                places = torch.cat([torch.arange(len(one.ids), device=self.device) for one in part])
                layers = self._layer_states(ids, places, whose[:, None] == whose)
                last = layers[-1][0].float()
                sums = last.new_zeros(len(part), last.shape[1]).index_add_(0, whose, last)
                vectors = torch.nn.functional.normalize(sums, dim=1).cpu().numpy()
                states = torch.cat([layers[n][0] for n in STATE_LAYERS], 1).float().cpu().numpy()
                each = np.split(states, np.cumsum([len(one.ids) for one in part])[:-1])
                for row, one, own, vector in zip(rows.tolist(), part, each, vectors, strict=True):
                    found[row] = TokenStates(list(one.offsets), own, vector)
            if found:
                self._remember(texts[0], found[0].vector)
            return [found[row] for row in range(len(tokens))]

    def _forward(self, texts: list[str]) -> Tensor:
        import torch

        tokens = [found.ids for found in self._tokenizer.encode_batch(texts)]
        lengths = torch.tensor([len(ids) for ids in tokens], device=self.device)
        longest = max(map(len, tokens))
        ids = torch.tensor([[*row, *[self._pad] * (longest - len(row))] for row in tokens], device=self.device)
        places = torch.arange(longest, device=self.device)
        there = places < lengths[:, None]  # (B, L)
        mask = None if all(len(row) == longest for row in tokens) else there[:, None, None, :]
        last = self._layer_states(ids, places, mask)[-1].float()
        return torch.nn.functional.normalize((last * there.unsqueeze(-1)).sum(1), dim=1)

    def _layer_states(self, ids: Tensor, places: Tensor, mask: Tensor | None) -> list[Tensor]:
        """BERT's hidden states after each layer, (B, L, width), of tokens (B, L) at `places` (L,), masked."""
        import torch
        from torch.nn import functional as F

        x = self._model["embeddings.word_embeddings.weight"][ids]
        positions = self._model["embeddings.position_embeddings.weight"][places]
        x += self._model["embeddings.token_type_embeddings.weight"][0] + positions
        x = self._norm("embeddings.LayerNorm", x)
        layers = []
        # In place where nobody reads the old: fresh memory costs three times the addition.
        for number in range(self._layers):
            layer = f"encoder.layer.{number}"
            joined = self._linears[f"{layer}.attention.self"](x)
            q, k, v = joined.unflatten(2, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, L, width / heads)
            seen = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)  # (B, L, width)
            x = self._norm(
                f"{layer}.attention.output.LayerNorm", self._linears[f"{layer}.attention.output.dense"](seen).add_(x)
            )
            inner = torch.ops.aten.gelu_(self._linears[f"{layer}.intermediate.dense"](x))
            x = self._norm(f"{layer}.output.LayerNorm", self._linears[f"{layer}.output.dense"](inner).add_(x))
            layers.append(x)
        return layers

    def _norm(self, name: str, x: Tensor) -> Tensor:
        from torch.nn import functional as F

        weight, bias = self._model[f"{name}.weight"], self._model[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self._epsilon)
