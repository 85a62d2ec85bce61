"""The inference model q(m | S) and the generative model f, g, h of LatentCRS (sections 4.2.1, 4.2.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.intent.config import ModelSection
from latentcrs.intent.losses import generative_log_f, inference_log_q, intent_pool, intent_query


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


class InferenceModel(nn.Module):
    """Intents from behaviour alone: q (Eq. 12), and the item scores r W_e v of its own rec loss (Eq. 15, 16)."""

    def __init__(self, M: Tensor, V: Tensor) -> None:
        super().__init__()
        d = M.shape[1]
        self.W_q, self.W_k, self.W_e = _matrix(d, d), _matrix(d, d), _matrix(d, V.shape[1])
        self.register_buffer("M", M)
        self.register_buffer("V", V, persistent=False)
        self.M: Tensor
        self.V: Tensor

    def log_q(self, S: Tensor) -> Tensor:
        """(B, d) -> (B, K), logarithms."""
        return inference_log_q(S, self.M, self.W_q, self.W_k)

    def query(self, log_q: Tensor) -> Tensor:
        """r W_e, (B, d), whose inner product with v is the score of Eq. 16."""
        return intent_pool(log_q.exp(), self.M) @ self.W_e

    def items(self, rows: Tensor | None = None) -> Tensor:
        """V, or those `rows` of it, (n, d): what `query` is multiplied with."""
        return self.V if rows is None else F.embedding(rows, self.V)


class GenerativeModel(nn.Module):
    """Intents from behaviour and words (f, Eq. 5), items from intents (g, Eq. 7), and their sum h (Eq. 10).

    h(v) is one inner product of `query` (B, w) and `items` (n, w). With the additions of the default preset both
    are concatenations: the intents' part (d), an MLP of [S ; X] past them (text_width), a S . V (d),
    b (X W_x) . (T W_t) (text_width), and the popularity prior (1).
    """

    def __init__(self, M: Tensor, V: Tensor, T: Tensor, log_popularity: Tensor, config: ModelSection) -> None:
        """M (K, d), V (n, d), T (n, d_x) the items' content embeddings, log_popularity (n,)."""
        super().__init__()
        d, d_x = V.shape[1], T.shape[1]
        self.config = config
        self.project = nn.Sequential(  # P, section 5.5: text to the width of behaviour
            nn.Linear(d_x, config.text_hidden),
            nn.LayerNorm(config.text_hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.text_hidden, d),
        )
        self.ffn = self._ffn(d, config)
        self.W_m, self.W_j = _matrix(d, d), _matrix(d, d)
        self.W_v = _matrix(d + d_x if config.item_text else d, d)
        if config.skip:
            self.norm_S, self.norm_X = nn.LayerNorm(d), nn.LayerNorm(d_x)  # S is far longer than X
            self.skip = nn.Sequential(
                nn.Linear(d + d_x, config.hidden),
                nn.GELU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.hidden, config.text_width),
            )
            self.W_s = _matrix(d + d_x if config.item_text else d, config.text_width)
            self.W_x = _matrix(d_x, config.text_width)
            self.W_t = nn.Parameter(self.W_x.detach().clone())  # so that the term starts as a multiple of X . T
            self.a, self.b = nn.Parameter(torch.ones(())), nn.Parameter(torch.full((), 10.0))
        if config.popularity:
            self.prior = nn.Parameter(torch.zeros(()))
        for name, constant in (("M", M), ("V", V), ("T", T), ("log_popularity", log_popularity)):
            self.register_buffer(name, constant, persistent=False)
        self.M: Tensor
        self.V: Tensor
        self.T: Tensor
        self.log_popularity: Tensor

    @staticmethod
    def _ffn(d: int, config: ModelSection) -> nn.Sequential:
        return nn.Sequential(
            nn.LayerNorm(2 * d),
            nn.Linear(2 * d, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, d),
        )

    def read(self, S: Tensor, X: Tensor) -> Tensor:
        """FFN([S ; P X]), (B, d)."""
        return self.ffn(torch.cat([S, self.project(X)], 1))

    def log_f(self, Z: Tensor) -> Tensor:
        """Eq. 5, in logarithms: (B, d) -> (B, K)."""
        return generative_log_f(Z, self.M, self.W_m)

    def intent_vectors(self) -> Tensor:
        """m_j W_j, (K, d)."""
        return self.M @ self.W_j

    def item_vectors(self, rows: Tensor | None = None) -> Tensor:
        """v W_v, (n, d), or of those `rows` alone."""
        return self.content(rows) @ self.W_v

    def content(self, rows: Tensor | None = None) -> Tensor:
        """v: V, or [V ; T] where item text is on."""
        return torch.cat([self._V(rows), self._T(rows)], 1) if self.config.item_text else self._V(rows)

    def _V(self, rows: Tensor | None) -> Tensor:
        return self.V if rows is None else F.embedding(rows, self.V)

    def _T(self, rows: Tensor | None) -> Tensor:
        return self.T if rows is None else F.embedding(rows, self.T)

    def factor(self, Z: Tensor) -> Tensor | None:
        """c_j = FFN(..) . (m_j W_m) of the full form, (B, K); None for the factorised one."""
        return Z @ (self.M @ self.W_m).T if self.config.form == "full" else None

    def query(self, S: Tensor, X: Tensor, Z: Tensor, log_f: Tensor) -> Tensor:
        """The vector whose inner product with `items()` is h(v): (B, w)."""
        main = intent_query(log_f.exp(), self.intent_vectors(), self.factor(Z))
        parts = [main]
        if self.config.skip:
            past = self.skip(torch.cat([self.norm_S(S), self.norm_X(X)], 1))
            parts = [main, past, self.a * S, self.b * F.normalize(X @ self.W_x, dim=1)]
        if self.config.popularity:
            parts.append(self.prior.expand(len(S), 1))
        return torch.cat(parts, 1)

    def items(self, rows: Tensor | None = None) -> Tensor:
        """What `query` is multiplied with: (n, w), or those `rows` of it, at the cost of those."""
        parts = [self.item_vectors(rows)]
        if self.config.skip:
            text = F.normalize(self._T(rows) @ self.W_t, dim=1)
            parts += [self.content(rows) @ self.W_s, self._V(rows), text]
        if self.config.popularity:
            popularity = self.log_popularity if rows is None else self.log_popularity[rows]
            parts.append(popularity[:, None])
        return torch.cat(parts, 1)

    def forward(self, S: Tensor, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, d), (B, d_x) -> log f (B, K), Z (B, d), query (B, w)."""
        Z = self.read(S, X)
        log_f = self.log_f(Z)
        return log_f, Z, self.query(S, X, Z, log_f)
