"""all-MiniLM-L6-v2 in plain PyTorch: the default encoder, open ten times as fast as by sentence-transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentcrs.text.encoders import LocalEncoder, SentenceEncoder, TokenStates, _encodable, length_batches
from latentcrs.text.model_folders import read_json

STATE_LAYERS = (2, 5)
"""The layers, from 0, whose states are handed out: what is denied is still told apart in the middle."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from tokenizers import Tokenizer


class MiniLM(LocalEncoder):
    """A BERT whose tokens are averaged (Reimers and Gurevych, "Sentence-BERT", 2019). The vectors, of length 1, are
    those of `SentenceEncoder` with the same folder, so both have one `id`.
    """

    kind = SentenceEncoder.kind
    recipe = SentenceEncoder.recipe

    def _load(self) -> Any:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        config = read_json(self.folder / "config.json")
        self._layers, self._heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
        self._epsilon, self._pad = float(config["layer_norm_eps"]), int(config["pad_token_id"])
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        longest = read_json(self.folder / "sentence_bert_config.json")["max_seq_length"]
        self._tokenizer.enable_truncation(int(longest))
        self._tokenizer.no_padding()
        weights = load_file(self.folder / "model.safetensors")
        return {
            name: tensor.to(self.device, self.dtype)
            for name, tensor in weights.items()
            if tensor.is_floating_point() and not name.startswith("pooler.")
        }

    def _count(self, texts: list[str]) -> NDArray[np.int64]:
        return np.array([len(found.ids) for found in self._tokenizer.encode_batch(texts)], np.int64)

    def states(self, texts: Sequence[str]) -> list[TokenStates]:
        """What the model reads of each text, token by token, in one pass; see `TokenStates`."""
        import torch

        self.load()
        with self._lock, torch.inference_mode():
            clean = _encodable(texts)
            read = []
            counts = self._count(clean) if clean else np.empty(0, np.int64)
            found: list[TokenStates | None] = [None] * len(clean)
            for rows in length_batches(counts, self._budget):
                part = self._tokenizer.encode_batch([clean[row] for row in rows])
                layers: list[torch.Tensor] = []
                vectors = self._of_ids([one.ids for one in part], layers).float().cpu().numpy()
                for place, (row, one) in enumerate(zip(rows.tolist(), part, strict=True)):
                    taken = [layers[n][place, : len(one.ids)].float().cpu().numpy() for n in STATE_LAYERS]
                    found[row] = TokenStates(list(one.offsets), np.concatenate(taken, axis=1), vectors[place])
            read += [one for one in found if one is not None]
            return read

    def _forward(self, texts: list[str]) -> torch.Tensor:
        return self._of_ids([found.ids for found in self._tokenizer.encode_batch(texts)])

    def _of_ids(self, tokens: list[list[int]], layers: list[torch.Tensor] | None = None) -> torch.Tensor:
        """The vectors of texts given as tokens, (B, width). layers: gets the hidden states (B, L, width) of each
        layer."""
        import torch

        lengths = torch.tensor([len(ids) for ids in tokens])
        longest = int(lengths.max())
        ids = torch.tensor([[*row, *[self._pad] * (longest - len(row))] for row in tokens])  # (B, L)
        there = torch.arange(longest) < lengths[:, None]  # (B, L)
        ids, there = ids.to(self.device), there.to(self.device)
        hidden = self._hidden(ids, None if bool((lengths == longest).all()) else there[:, None, None, :], layers)
        weight = there.unsqueeze(-1).float()
        mean = (hidden.float() * weight).sum(1) / weight.sum(1)  # (B, width)
        return torch.nn.functional.normalize(mean, dim=1)

    def _hidden(
        self, ids: torch.Tensor, mask: torch.Tensor | None, layers: list[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """BERT's last hidden states, (B, L, width), of tokens (B, L). mask: which tokens are there; None for all."""
        from torch.nn import functional as F

        words = self._model["embeddings.word_embeddings.weight"][ids]
        places = self._model["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = words + self._model["embeddings.token_type_embeddings.weight"][0] + places
        x = self._norm("embeddings.LayerNorm", x)
        for number in range(self._layers):
            layer = f"encoder.layer.{number}"
            q, k, v = (self._by_head(f"{layer}.attention.self.{name}", x) for name in ("query", "key", "value"))
            seen = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)  # (B, L, width)
            seen = self._linear(f"{layer}.attention.output.dense", seen)
            x = self._norm(f"{layer}.attention.output.LayerNorm", seen + x)
            inner = F.gelu(self._linear(f"{layer}.intermediate.dense", x))
            x = self._norm(f"{layer}.output.LayerNorm", self._linear(f"{layer}.output.dense", inner) + x)
            if layers is not None:
                layers.append(x)
        return x

    def _by_head(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A projection of x (B, L, width) as (B, heads, L, width / heads)."""
        return self._linear(name, x).unflatten(2, (self._heads, -1)).transpose(1, 2)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional as F

        return F.linear(x, self._model[f"{name}.weight"], self._model[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional as F

        weight, bias = self._model[f"{name}.weight"], self._model[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self._epsilon)
