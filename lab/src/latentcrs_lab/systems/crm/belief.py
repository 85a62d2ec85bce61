"""CRM's belief tracker: from all that was said so far to a distribution over the values of each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from latentcrs_lab.systems.crm.words import Heard

LEAST_BELIEF = 1e-3
"""A value that is less likely than this is left out of a belief: sums over it are sums over a handful of values."""
_TOGETHER = 128


@dataclass(frozen=True)
class Belief:
    """What B users want, by column. values (B, F) sparse: how likely they want each value. unsaid, top, entropy
    (B, C): how likely they said nothing of the column; the likeliest value; the entropy of all, over its largest.
    """

    values: sparse.csr_matrix
    unsaid: Tensor
    top: Tensor
    entropy: Tensor


@dataclass(frozen=True)
class ColumnBeliefs:
    """What the tracker makes of B sessions of T turns. active (A,): the values that it tells apart, ascending. log_p:
    for each column log-probabilities (B, T, 1 + its active values + 1): "not said", the values, all others together.
    others (C,): how many those are; each is as likely as another.
    """

    active: NDArray[np.int64]
    log_p: list[Tensor]
    others: NDArray[np.int64]


class BeliefTracker(nn.Module):
    """The tracker of Sun & Zhang (SIGIR 2018, section 3.2): an LSTM over the n-gram vectors of the user's turns, and
    for each column a softmax over its values and "not said". All columns share one LSTM here.

    A value that is hardly ever said in training cannot be learned as a class. So beside that, a value's logit rises
    with how far its name is said, by as much as the network takes the words around it to mean it ("not drama", "Tom
    Cruise" as the director or as an actor), as delexicalised features do in dialogue state tracking (Henderson et
    al., SIGDIAL 2014).
    """

    def __init__(
        self, grams: int, column_of: NDArray[np.int64], learned: NDArray[np.int64], width: int, hidden: int,
        dropout: float = 0.2,
    ) -> None:  # fmt: skip
        """grams: n-grams in the vocabulary. column_of (F,): the column of each value, ascending. learned: the values
        that are classes of their own. width: of the n-grams' vectors. hidden: of the LSTM.
        """
        super().__init__()
        columns = int(column_of.max(initial=-1)) + 1
        self.words = nn.EmbeddingBag(max(grams, 1), width, mode="sum")
        nn.init.normal_(self.words.weight, std=0.1)
        self.asked = nn.Embedding(columns + 1, width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.classes = nn.Linear(hidden, len(learned))
        self.unsaid = nn.Linear(hidden, columns)
        self.gates = nn.Linear(width + hidden, 2 * columns)
        self.base = nn.Parameter(torch.full((columns,), -4.0))
        self.dropout = nn.Dropout(dropout)
        self.column_of = column_of
        self.learned: Tensor
        self.register_buffer("learned", torch.from_numpy(learned))

    def forward(
        self, heard: Heard, said: NDArray[np.int64], asked: NDArray[np.int64], also: NDArray[np.int64] | None = None
    ) -> ColumnBeliefs:
        """What is wanted after each of T turns of B sessions.

        said (B, T): the utterances, numbers of `heard`. asked (B, T): 0 where the turn answers nothing or a list,
        1 + c where it answers a question about column c. also: values that are to be told apart too.
        """
        B, T = said.shape
        flat = said.ravel()
        grams, offsets = heard.bags(flat)
        lengths = torch.diff(offsets, append=offsets.new_tensor([len(grams)]))
        z = self.words(grams, offsets) / lengths.clamp_min(1).sqrt()[:, None]
        z = self.dropout(torch.tanh(z.view(B, T, -1) + self.asked(torch.from_numpy(asked))))  # (B, T, width)
        h = self.dropout(self.lstm(z)[0])  # (B, T, hidden)
        gates = self.gates(torch.cat([z, h], 2)).view(B * T, -1, 2)
        named = [heard.exact[flat].tocoo(), heard.alike[flat].tocoo()]
        learned = self.learned.numpy()
        told_apart = [learned, *(part.col for part in named), *([] if also is None else [also])]
        active = np.unique(np.concatenate(told_apart)).astype(np.int64)
        columns, count = self.column_of[active], len(self.base)
        of = torch.from_numpy(columns)
        names = z.new_zeros(B * T, len(active))
        for kind, part in enumerate(named):
            rows, places = torch.from_numpy(part.row.astype(np.int64)), np.searchsorted(active, part.col)
            weight = gates[rows, of[places], kind] * torch.from_numpy(part.data)
            names = names.index_put((rows, torch.from_numpy(places)), weight, accumulate=True)
        logits = names.view(B, T, -1).cumsum(1) + self.base[of]
        logits = logits.index_add(2, torch.from_numpy(np.searchsorted(active, learned)), self.classes(h))
        unsaid = self.unsaid(h)
        # All others of a column have the same logit, so one stands for all.
        others = np.bincount(self.column_of, minlength=count) - np.bincount(columns, minlength=count)
        rest = self.base + torch.from_numpy(others).float().log()
        ends = np.searchsorted(columns, np.arange(count + 1)).tolist()
        log_p = [
            torch.cat([unsaid[:, :, c : c + 1], logits[:, :, start:end], rest[c].expand(B, T, 1)], 2).log_softmax(2)
            for c, (start, end) in enumerate(pairwise(ends))
        ]
        return ColumnBeliefs(active, log_p, others)

    @torch.no_grad()
    def believe(self, heard: Heard, said: NDArray[np.int64], asked: NDArray[np.int64]) -> Belief:
        """The belief after the last turn of each session; see `forward`."""
        self.eval()
        values, figures = [], []
        for start in range(0, len(said), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            tracked = self(heard, said[part], asked[part])
            last = [log_p[:, -1].exp() for log_p in tracked.log_p]
            likely = torch.cat([torch.empty(len(said[part]), 0), *(p[:, 1:-1] for p in last)], 1).numpy()
            rows, places = np.nonzero(likely >= LEAST_BELIEF)
            shape = (len(likely), len(self.column_of))
            values.append(sparse.csr_matrix((likely[rows, places], (rows, tracked.active[places])), shape))
            known = [_figures(p, count) for p, count in zip(last, tracked.others.tolist(), strict=True)]
            figures.append(torch.stack(known, 1))
        nothing = sparse.csr_matrix((0, len(self.column_of)), dtype=np.float32)
        unsaid, top, entropy = torch.cat([torch.empty(0, len(self.base), 3), *figures]).unbind(2)
        return Belief(sparse.vstack([nothing, *values], "csr"), unsaid, top, entropy)


def _figures(p: Tensor, others: int) -> Tensor:
    """(B, 1 + values + 1) -> (B, 3): what a `Belief` says of a column."""
    count = p.shape[1] - 1 + others
    entropy = -torch.xlogy(p, p).sum(1) + p[:, -1] * np.log(max(others, 1))
    top = torch.cat([p[:, 1:-1], p[:, -1:] / max(others, 1)], 1).amax(1)
    return torch.stack([p[:, 0], top, entropy / np.log(max(count, 2))], 1)


def tracking_loss(found: ColumnBeliefs, wanted: Sequence[sparse.csr_matrix]) -> Tensor:
    """Cross-entropy of every column after every turn, summed over columns, a mean over turns.

    wanted, T of (B, F): the distribution over the values of each column, adding up to 1, or to 0 where nothing was
    said of it. Every value that is wanted has to be among those told apart.
    """
    said = torch.from_numpy(np.stack([turn[:, found.active].toarray() for turn in wanted], 1))  # (B, T, active)
    total, start = said.new_zeros(said.shape[:2]), 0
    for log_p in found.log_p:
        end = start + log_p.shape[2] - 2
        of_column = said[:, :, start:end]
        total = total - (of_column * log_p[:, :, 1:-1]).sum(2) - (1 - of_column.sum(2)) * log_p[:, :, 0]
        start = end
    return total.mean()
