"""What CRM learns from: words of simulated users on training rows, and beliefs drawn for every row of the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from latentcrs.base.draws import mixed
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.request_rows import request_rows
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.conditions import ConditionTable
from latentcrs_lab.systems.crm.model import CrmModel
from latentcrs_lab.systems.crm.settings import CrmSettings
from latentcrs_lab.systems.crm.speech import Speech, listen
from latentcrs_lab.systems.crm.values import Values, shared_out
from latentcrs_lab.systems.crm.words import Heard, Vocabulary

JUDGED = 1000
"""Validation rows on which the parts are judged while they train."""
_BELIEF = 21  # the stream of random numbers used here: which conditions a drawn belief holds


@dataclass(frozen=True)
class UserTurns:
    """Rows (user, cut, target), what their users would say, and that as the tracker takes it."""

    rows: pl.DataFrame
    speech: Speech
    heard: Heard

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def users(self) -> NDArray[np.int64]:
        """(R,)"""
        return self.rows["user"].to_numpy().astype(np.int64)

    @property
    def targets(self) -> NDArray[np.int64]:
        """(R,)"""
        return self.rows["target"].to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Lessons:
    """tracking: what the tracker learns from. practice: the policy's rows, which neither the tracker nor the machine
    sees, but for the item counts that the machine's biases begin with: on rows that they know by heart it would learn
    that no question is ever needed. judged: of the validation split, to choose rounds by. wished: what each condition
    of `table` says of the values, see `Values.wished`.
    """

    values: Values
    table: ConditionTable
    wished: sparse.csr_matrix
    tracking: UserTurns
    practice: UserTurns
    judged: UserTurns

    def drawn(self, items: NDArray[np.int64], most: int, rng: np.random.Generator) -> sparse.csr_matrix:
        """What users who want `items` might have told, as beliefs (B, F): 0 to `most` conditions each, drawn as the
        simulated user draws them.
        """
        keys = mixed(int(rng.integers(1 << 60)), _BELIEF, np.arange(len(items)))
        drawn = self.table.draw(items, keys, most, story=False)
        told = np.arange(drawn.shape[1])[None, :] < rng.integers(0, most + 1, len(items))[:, None]
        rows, places = np.nonzero((drawn >= 0) & told)
        shape = (len(items), self.wished.shape[0])
        state = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, drawn[rows, places])), shape)
        return shared_out(state @ self.wished, self.values)

    def log(self, dataset: PreparedDataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(user, item) of the training part of the log, less the policy's rows."""
        keep = np.ones(len(dataset.sequence), bool)
        for back in (1, 2):
            keep[(dataset.offsets[1:] - back)[dataset.lengths >= back]] = False
        keep[dataset.offsets[self.practice.users] + self.practice.rows["cut"].to_numpy()] = False
        users = np.repeat(np.arange(dataset.info.users), dataset.lengths)
        return users[keep], dataset.sequence[keep].astype(np.int64)


def prepare(dataset: PreparedDataset, settings: CrmSettings, values: Values) -> tuple[CrmModel, Lessons]:
    """An untrained model, and what it will learn from."""
    rows = request_rows(dataset, settings.seed)
    rng = np.random.default_rng(settings.seed)
    train, valid = (rows.filter(pl.col("split") == split).drop("split") for split in ("train", "valid"))
    order = rng.permutation(len(train))
    count = min(settings.listened, -(-2 * len(train) // 3))
    chosen = {
        "tracker": train[np.sort(order[:count])],
        "policy": train[np.sort(order[count : count + settings.listened // 2])],
        "validation": valid[np.sort(rng.permutation(len(valid))[:JUDGED])],
    }
    user = AttributesUser(dataset)
    speech = {
        name: listen(
            user, dataset, part, values.columns, settings.turns, settings.seed, f"CRM, users' words ({name})"
        )
        for name, part in chosen.items()
    }
    vocabulary = Vocabulary.of(speech["tracker"].texts, settings.gram_count)
    wished = values.wished(user.table.conditions)
    mentions = np.asarray((speech["tracker"].told @ wished).sum(0))[0]
    model = CrmModel.new(dataset, settings, values, vocabulary, np.flatnonzero(mentions >= settings.mentions))
    spoken = [UserTurns(part, speech[name], model.ear.hear(speech[name].texts)) for name, part in chosen.items()]
    return model, Lessons(values, user.table, wished, *spoken)
