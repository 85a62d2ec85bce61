"""Claims about the part of S that knows no order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentcrs.behaviour import BehaviourEncoder, TrainingConfig
from latentcrs.behaviour.unordered import Unordered
from latentcrs.data import Histories, PreparedDataset
from latentcrs.fit.rows import held_out, training_sequences

BRIEF = TrainingConfig(epochs=2, min_steps=0, batch=32, learning_rate=0.005)


@pytest.fixture(scope="module")
def encoder(small_movielens: Path) -> BehaviourEncoder:
    dataset = PreparedDataset(small_movielens)
    made = BehaviourEncoder("sasrec", dataset.info.items, {"width": 16, "length": 30}, "cpu")
    made.report = made.fit(training_sequences(dataset), held_out(dataset, "valid"), BRIEF, unordered=16)
    return made


def test_a_set_of_items_has_one_vector_whatever_their_order(encoder: BehaviourEncoder) -> None:
    assert encoder.unordered is not None
    there, back = (encoder.unordered.of(Histories.from_lists([items])) for items in ([3, 7, 11], [11, 3, 7]))
    torch.testing.assert_close(there, back)


def test_named_items_are_near_what_the_same_people_chose(small_movielens: Path) -> None:
    dataset = PreparedDataset(small_movielens)
    sequences = training_sequences(dataset)
    part = Unordered.build([sequences], dataset.info.items, 16)
    assert part is not None
    owners, items = sequences.pairs()
    counts = np.zeros((len(sequences), dataset.info.items), np.float32)
    counts[owners, items] = 1
    together = counts.T @ counts
    np.fill_diagonal(together, 0)
    known = np.argsort(-counts.sum(0))[:100]
    scores = (part.of(Histories.from_lists([[int(item)] for item in known])) @ part.outputs.T).numpy()
    near = [np.corrcoef(scores[row], together[item])[0, 1] for row, item in enumerate(known)]
    assert np.mean(near) > 0.4


def test_an_encoder_with_it_is_the_same_after_saving(encoder: BehaviourEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "encoder.safetensors", encoder.report)
    again = BehaviourEncoder.load(tmp_path / "encoder.safetensors", "cpu")
    histories = Histories.from_lists([[], [5], [5, 6, 7, 8], list(range(40))])
    np.testing.assert_array_equal(encoder.encode(histories), again.encode(histories))
    np.testing.assert_array_equal(encoder.item_embeddings, again.item_embeddings)
    assert encoder.encode(histories).shape[1] == encoder.item_embeddings.shape[1] == 32


def test_the_empty_history_has_no_such_part(encoder: BehaviourEncoder) -> None:
    assert not encoder.encode(Histories.from_lists([[]]))[0, 16:].any()


def test_too_few_people_for_the_width_leave_it_out() -> None:
    assert Unordered.build([Histories.from_lists([[0, 1], [1, 2]])], 3, 16) is None
