"""Claims about item vectors from who chose what, and about training that begins at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentcrs.base.errors import UserError
from latentcrs.behaviour import BehaviourEncoder, TrainingConfig
from latentcrs.behaviour.spectral import spectral_vectors
from latentcrs.data import Histories, PreparedDataset
from latentcrs.fit.rows import held_out, training_sequences

SMALL = {"width": 16, "length": 20}


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


def test_films_of_one_genre_are_nearer_to_one_another_than_others(dataset: PreparedDataset) -> None:
    vectors = spectral_vectors(training_sequences(dataset), dataset.info.items, 16)
    assert vectors.shape == (dataset.info.items, 16) and vectors.square().mean().item() == pytest.approx(1)
    cosines = torch.nn.functional.normalize(vectors) @ torch.nn.functional.normalize(vectors).T
    for genre in ("Horror", "Children's", "Film-Noir"):
        own = torch.from_numpy(dataset.items["genres"].list.contains(genre).fill_null(False).to_numpy().copy())
        assert cosines[own][:, own].mean() > cosines[own][:, ~own].mean() + 0.05, genre


def test_the_same_log_gives_the_same_vectors_and_an_item_that_nobody_chose_is_nowhere(
    dataset: PreparedDataset,
) -> None:
    sequences = training_sequences(dataset)
    first, again = (spectral_vectors(sequences, dataset.info.items + 1, 8) for _ in range(2))
    assert torch.equal(first, again)
    assert not first[-1].any()


def test_training_that_begins_there_is_further_after_one_epoch(dataset: PreparedDataset) -> None:
    sequences, validation = training_sequences(dataset), held_out(dataset, "valid")
    reached = {}
    for first in ("random", "svd"):
        encoder = BehaviourEncoder("sasrec", dataset.info.items, {**SMALL, "first_vectors": first}, "cpu")
        config = TrainingConfig(epochs=1, min_steps=0, batch=32)
        reached[first] = encoder.fit(sequences, validation, config)["validation_ndcg@20"]
    assert reached["svd"] > reached["random"]


def test_too_few_people_for_the_width_is_one_sentence() -> None:
    few = Histories.from_lists([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(UserError, match="more than 9 users and items"):
        spectral_vectors(few, 40, 8)


def test_the_order_of_people_in_the_log_does_not_matter(dataset: PreparedDataset) -> None:
    sequences = training_sequences(dataset)
    order = np.random.default_rng(0).permutation(len(sequences))
    one, other = (spectral_vectors(of, dataset.info.items, 8) for of in (sequences, sequences[order]))
    assert torch.allclose(one @ one.T, other @ other.T, atol=1e-2)
