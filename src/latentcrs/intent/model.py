"""The inference model q(m | S) and the generative model f, g, h of LatentCRS (sections 4.2.1, 4.2.2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.behaviour.unordered import ONE
from latentcrs.intent.clues import CHANNELS, FACTS, Clues
from latentcrs.intent.config import ModelSection
from latentcrs.intent.losses import generative_log_f, inference_log_q, intent_pool, intent_query

PARTS = 4 + 2 + CHANNELS
"""Of h with all additions: intents, the MLP past them, behaviour, text, two priors, and the channels of `Clues`."""
PRIOR_SIZE = 4.0
"""The logarithms of counts are divided by it, so that no column of an item outweighs the others in its index."""


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
    b (X W_x) . (T W_t) (text_width), and the popularity priors (2). Bonuses of few items come beside the product
    (`clues`): h(v) = <query, items(v)> + sum over channels of gates . channels(v).
    """

    def __init__(
        self,
        M: Tensor,
        V: Tensor,
        T: Tensor,
        log_popularity: Tensor,
        config: ModelSection,
        log_suggested: Tensor | None = None,
    ) -> None:
        """M (K, d), V (n, d), T (n, d_x) the items' content embeddings, log_popularity (n,); log_suggested (n,): the
        log of each item's share of what people in conversations suggest, None without conversations.
        """
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
        if config.popularity or config.clues:
            # How much popularity, suggestions, behaviour, words and co-mentions count, by what is told of a request.
            self.gates = nn.Linear(d_x + FACTS, 3 + CHANNELS)
            nn.init.zeros_(self.gates.weight)
            self.gates.bias.data = torch.tensor([0.0, 0.0, ONE, -1.0, 0.0])
        if config.calibrated:
            self.register_buffer("scales", torch.ones(PARTS))
            self.scales: Tensor
        if log_suggested is None:
            log_suggested = torch.zeros_like(log_popularity)
        constants = {
            "M": M, "V": V, "T": T, "log_popularity": log_popularity, "log_suggested": log_suggested
        }  # fmt: skip
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)
        self.M: Tensor
        self.V: Tensor
        self.T: Tensor
        self.log_popularity: Tensor
        self.log_suggested: Tensor

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

    def gate(self, X: Tensor, facts: Tensor | None) -> tuple[Tensor, Tensor]:
        """How much the priors and behaviour (B, 3) and the channels (B, CHANNELS) of `Clues` count."""
        told = X.new_zeros(len(X), FACTS) if facts is None else facts
        found = self.gates(torch.cat([F.normalize(X, dim=1) * X.shape[1] ** 0.5 / 4, told], 1))
        positive = F.softplus(found[:, 2:])
        return torch.cat([found[:, :2], positive[:, :1]], 1), positive[:, 1:]

    def query(self, S: Tensor, X: Tensor, Z: Tensor, log_f: Tensor, priors: Tensor | None) -> Tensor:
        """The vector whose inner product with `items()` is h(v): (B, w). priors (B, 3): of `gate`."""
        parts = [self.intents_query(Z, log_f)]
        if self.config.skip:
            past = self.skip(torch.cat([self.norm_S(S), self.norm_X(X)], 1))
            behaved = self.a * S if priors is None else self.a * priors[:, 2:] * S
            parts += [past, behaved, self.b * F.normalize(X @ self.W_x, dim=1)]
        if self.config.popularity:
            assert priors is not None
            parts += [priors[:, :1], priors[:, 1:2]]
        if self.config.calibrated:
            parts = [scale * part for scale, part in zip(self.scales, parts, strict=False)]
        return torch.cat(parts, 1)

    def intents_query(self, Z: Tensor, log_f: Tensor) -> Tensor:
        """The query of Eq. 10, (B, d), whose inner product with `item_vectors()` is what the intents alone score."""
        return intent_query(log_f.exp(), self.intent_vectors(), self.factor(Z))

    def items(self, rows: Tensor | None = None) -> Tensor:
        """What `query` is multiplied with: (n, w), or those `rows` of it, at the cost of those."""
        return torch.cat(self.item_parts(rows), 1)

    def item_parts(self, rows: Tensor | None = None) -> list[Tensor]:
        """The parts of `items`, in the order of those of `query`."""
        parts = [self.item_vectors(rows)]
        if self.config.skip:
            text = F.normalize(self._T(rows) @ self.W_t, dim=1)
            parts += [self.content(rows) @ self.W_s, self._V(rows), text]
        if self.config.popularity:
            priors = torch.stack([self.log_popularity, self.log_suggested], 1)
            priors = priors / PRIOR_SIZE
            parts += list((priors if rows is None else priors[rows]).split(1, 1))
        return parts

    def forward(self, S: Tensor, X: Tensor, facts: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, d), (B, d_x), (B, FACTS) -> log f (B, K), Z (B, d), query (B, w)."""
        Z = self.read(S, X)
        log_f = self.log_f(Z)
        priors = self.gate(X, facts)[0] if self.config.popularity else None
        return log_f, Z, self.query(S, X, Z, log_f, priors)

    def ask(self, S: Tensor, X: Tensor, clues: Clues | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """log f (B, K), query (B, w), and the bonus (B, n) of the B rows that `clues` are of; None without clues."""
        if clues is None or not self.config.clues:
            log_f, _, query = self(S, X)
            return log_f, query, None
        channels = clues.channels().to(S.device)
        facts = clues.facts.to(S.device)
        log_f, _, query = self(S, X, facts)
        gates = self.gate(X, facts)[1]
        if self.config.calibrated:
            gates = gates * self.scales[-CHANNELS:]
        return log_f, query, torch.einsum("bc,cbn->bn", gates, channels)
