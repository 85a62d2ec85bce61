"""Claims about the behaviour encoders: what they see, whom they work for, and how they are trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.errors import UserError
from latentcrs.behaviour import NETWORKS, BehaviourEncoder, TrainingConfig
from latentcrs.behaviour.training import RowAdam, descend, optimizers_of
from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.ranking import ndcg_at, ranks_of_scores, target_ranks
from latentcrs.fit.rows import held_out, training_sequences

ITEMS = 40
KINDS = sorted(NETWORKS)
SMALL: dict[str, Any] = {"width": 16, "length": 8, "dropout": 0.1}
BRIEF = TrainingConfig(epochs=4, min_steps=0, batch=16, learning_rate=0.01)


def encoder(kind: str, seed: int = 0, **settings: Any) -> BehaviourEncoder:
    torch.manual_seed(seed)
    return BehaviourEncoder(kind, ITEMS, SMALL | settings, "cpu")


def walks(count: int = 60) -> tuple[Histories, tuple[Histories, NDArray[np.int64]]]:
    """Sequences that mostly go to the next item, and for each of them its last step as validation."""
    rng = np.random.default_rng(0)
    lists = []
    for length in rng.integers(3, 20, count):
        steps = np.where(rng.random(length) < 0.8, 1, rng.integers(0, ITEMS, length))
        lists.append((np.cumsum(steps) % ITEMS).tolist())
    whole = Histories.from_lists(lists)
    targets = np.array([walk[-1] for walk in lists])
    return Histories(whole.items, whole.offsets, whole.lengths - 1), (
        Histories(whole.items, whole.offsets, whole.lengths - 1),
        targets,
    )


def weights(of: BehaviourEncoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in of.network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_later_item_does_not_change_what_came_before_it() -> None:
    network = encoder("sasrec").network.eval()
    tokens = torch.tensor([[ITEMS, 1, 2, 3, 4, 5]])
    changed = tokens.clone()
    changed[0, 4] = 30
    with torch.inference_mode():
        before, after = network(tokens), network(changed)
    assert torch.allclose(before[0, :4], after[0, :4], atol=1e-6)
    assert (before[0, 4:] - after[0, 4:]).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_is_encoded_alike_alone_and_among_longer_ones(kind: str) -> None:
    histories = [[3], [], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [5, 6], [0, 39]]
    of = encoder(kind)
    together = of.encode(histories)
    alone = np.concatenate([of.encode([history]) for history in histories])
    assert together == pytest.approx(alone, abs=1e-5)
    assert of.encode(histories[::-1]) == pytest.approx(together[::-1], abs=1e-5)


def test_histories_of_every_length_have_a_vector_none_included() -> None:
    long = np.random.default_rng(0).integers(0, ITEMS, 500).tolist()
    of = encoder("sasrec")
    S = of.encode([[], [7], long])
    assert S.shape == (3, 16) and S.dtype == np.float32
    assert np.isfinite(S).all()
    assert len(np.unique(S.round(4), axis=0)) == 3
    assert of.encode([]).shape == (0, 16)


def test_only_the_newest_items_count_and_their_order_does() -> None:
    of = encoder("sasrec")
    newest = list(range(20, 28))  # as many as the encoder sees
    S = of.encode([[1, 2, 3, *newest], [30, *newest], newest[::-1]])
    assert S[0] == pytest.approx(S[1], abs=1e-5)
    assert np.abs(S[0] - S[2]).max() > 1e-3


def test_encoding_changes_nothing_while_the_network_trains() -> None:
    of = encoder("sasrec", dropout=0.5)
    of.network.train()
    assert of.encode([[1, 2, 3]]).tolist() == of.encode([[1, 2, 3]]).tolist()
    assert of.network.training


@pytest.mark.parametrize("kind", KINDS)
def test_training_learns_what_follows_what(kind: str) -> None:
    sequences, validation = walks()
    of = encoder(kind)
    report = of.fit(sequences, validation, TrainingConfig(epochs=15, min_steps=0, batch=16, learning_rate=0.01))
    assert report["validation_ndcg@20"] > 0.6  # every target at a random rank: about 0.18
    follows = of.encode([[2, 3, 4]]) @ of.item_embeddings.T
    assert int(np.argmax(follows[0])) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(kind: str) -> None:
    sequences, validation = walks()
    first, second, other = encoder(kind, 1), encoder(kind, 2), encoder(kind, 1)
    reports = [
        of.fit(sequences, validation, BRIEF.model_copy(update={"seed": seed}))
        for of, seed in ((first, 0), (second, 0), (other, 1))
    ]
    assert same(weights(first), weights(second))
    assert reports[0]["curve"] == reports[1]["curve"]
    assert not same(weights(first), weights(other))


class Interrupted(BehaviourEncoder):
    """Stopped by Ctrl-C when histories are encoded for the `stop_at`-th time: with SASRec, validating that epoch."""

    stop_at = 0

    def encode_tensor(self, histories: Histories, batch: int = 512) -> Tensor:
        self.stop_at -= 1
        if self.stop_at == 0:
            raise KeyboardInterrupt
        return super().encode_tensor(histories, batch)


@pytest.mark.parametrize("loss", ["full", "sampled"])
@pytest.mark.parametrize(("kind", "stop_at"), [("sasrec", 1), ("sasrec", 3), ("iclrec", 4), ("iclrec", 5)])
def test_a_run_that_was_killed_goes_on_and_ends_with_the_weights_of_one_that_was_not(
    kind: str, stop_at: int, loss: str, tmp_path: Path
) -> None:
    sequences, validation = walks()
    checkpoint = tmp_path / "run.safetensors"
    settings = SMALL | {"loss": loss, "samples": 20}
    whole = encoder(kind, loss=loss, samples=20)
    whole_report = whole.fit(sequences, validation, BRIEF)
    killed = Interrupted(kind, ITEMS, settings, "cpu")
    killed.stop_at = stop_at
    with pytest.raises(KeyboardInterrupt):
        killed.fit(sequences, validation, BRIEF, checkpoint)
    assert checkpoint.exists() == (stop_at > 1)
    torch.manual_seed(99)  # another process, in another state
    resumed = Interrupted(kind, ITEMS, settings, "cpu")
    report = resumed.fit(sequences, validation, BRIEF, checkpoint)
    done_before = {("sasrec", 1): 0, ("sasrec", 3): 2, ("iclrec", 4): 1, ("iclrec", 5): 2}[kind, stop_at]
    per_epoch = 1 if kind == "sasrec" else 2
    assert -resumed.stop_at == (BRIEF.epochs - done_before) * per_epoch  # it did not begin again
    assert report["curve"] == whole_report["curve"]
    assert same(weights(resumed), weights(whole))


def test_a_damaged_checkpoint_or_one_of_another_configuration_is_not_used(tmp_path: Path) -> None:
    sequences, validation = walks()
    checkpoint = tmp_path / "run.safetensors"
    encoder("sasrec").fit(sequences, validation, BRIEF.model_copy(update={"epochs": 2}), checkpoint)
    fresh = encoder("sasrec")
    fresh.fit(sequences, validation, BRIEF)
    for damage in (lambda: None, lambda: checkpoint.write_bytes(checkpoint.read_bytes()[:200])):
        damage()
        of = encoder("sasrec")
        of.fit(sequences, validation, BRIEF, checkpoint)
        assert same(weights(of), weights(fresh))


def test_the_best_epoch_is_kept_and_training_stops_when_patience_ends(tmp_path: Path) -> None:
    sequences, validation = walks()
    # Steps this large ruin the weights soon.
    rough = TrainingConfig(epochs=40, min_steps=0, batch=16, learning_rate=0.3, patience=3)
    of = encoder("sasrec")
    report = of.fit(sequences, validation, rough)
    assert report["epochs"] == report["best_epoch"] + 3 < 40
    items = torch.from_numpy(of.item_embeddings)
    ranks = target_ranks(of.encode_tensor(validation[0]), items, validation[1], validation[0])
    assert ndcg_at(ranks, 20).mean() == pytest.approx(max(report["curve"]), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_what_weighs_more_is_what_is_expected_next(kind: str) -> None:
    lists = [[0, 1 + n % 2] for n in range(200)]  # after 0, 1 and 2 come equally often
    flat = Histories.from_lists(lists)
    given = np.where(flat.items == 1, 1.8, np.where(flat.items == 2, 0.2, 1)).astype(np.float32)
    weighed = Histories(flat.items, flat.offsets, flat.lengths, given)
    validation = Histories.from_lists([[0]] * 4), np.ones(4, np.int64)
    config = BRIEF.model_copy(update={"epochs": 10})
    for one, first in ((weighed, 1), (replace(weighed, weights=2 - given), 2)):
        of = encoder(kind)
        of.fit(one, validation, config)
        scores = of.encode([[0]])[0] @ of.item_embeddings[:3].T
        assert scores[first] > scores[3 - first] + 0.5


def test_the_sampled_loss_learns_too() -> None:
    sequences, validation = walks()
    of = encoder("sasrec", loss="sampled", samples=20)
    config = TrainingConfig(epochs=15, min_steps=0, batch=16, learning_rate=0.01)
    assert of.fit(sequences, validation, config)["validation_ndcg@20"] > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_on_a_large_catalogue_touches_the_items_of_the_batch_and_the_negatives_alone(kind: str) -> None:
    torch.manual_seed(0)
    config = NETWORKS[kind][0].model_validate(SMALL | {"samples": 20})
    network = NETWORKS[kind][1](60_000, config)  # more items than `full_softmax_items`
    optimizers = optimizers_of(network, 0.01)
    before, seen = network.item_weights().detach().clone(), torch.randint(60_000, (4, 8))
    tokens, targets = seen.roll(1, 1), seen.clone()
    targets[3, 5:] = -1
    descend(network, optimizers, tokens, targets)
    table = network.embedding.weight
    assert table.grad is not None and table.grad.is_sparse
    moved = (network.item_weights() != before).any(1).nonzero()[:, 0]
    others = set(moved.tolist()) - set(tokens.flatten().tolist()) - set(targets.flatten().tolist())
    assert 10 < len(others) <= 20
    network.eval()
    assert not network.proposal.log_q.requires_grad and set(optimizers) == {"adam", "rows"}


def test_a_catalogue_is_large_above_the_setting_and_the_loss_can_be_named() -> None:
    def sampled(**settings: Any) -> bool:
        return encoder("sasrec", **settings).network.sampled

    assert not sampled() and not sampled(full_softmax_items=ITEMS)
    assert sampled(full_softmax_items=ITEMS - 1) and sampled(loss="sampled")
    assert not sampled(full_softmax_items=1, loss="full")


def test_adam_by_rows_takes_the_steps_of_sparse_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    tables = [torch.ones(50, 4, requires_grad=True) for _ in range(2)]
    of = [RowAdam([tables[0]], 0.05), torch.optim.SparseAdam([tables[1]], 0.05)]
    for _ in range(20):
        rows, weights = torch.randint(50, (30,), generator=generator), torch.randn(30, 4, generator=generator)
        for table, optimizer in zip(tables, of, strict=True):
            optimizer.zero_grad()
            (F.embedding(rows, table, sparse=True) * weights).sum().backward()
            optimizer.step()
    assert torch.allclose(tables[0], tables[1], atol=1e-5)
    assert float((tables[0] - 1).abs().amax().detach()) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_encoder_comes_back_the_same(kind: str, tmp_path: Path) -> None:
    of = encoder(kind)
    of.save(tmp_path / "encoder.safetensors", {"epochs": 3})
    back = BehaviourEncoder.load(tmp_path / "encoder.safetensors", "cpu")
    assert (back.kind, back.items, back.width, back.report) == (kind, ITEMS, 16, {"epochs": 3})
    assert back.encode([[1, 2], []]).tolist() == of.encode([[1, 2], []]).tolist()


def test_an_encoder_that_there_is_not_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gru4rec.*sasrec or iclrec"):
        BehaviourEncoder("gru4rec", ITEMS)
    damaged = tmp_path / "encoder.safetensors"
    damaged.write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"encoder\.safetensors"):
        BehaviourEncoder.load(damaged, "cpu")


def test_a_brief_sasrec_beats_popularity_on_real_people(small_movielens: Path) -> None:
    dataset = PreparedDataset(small_movielens)
    sequences, (histories, targets) = training_sequences(dataset), held_out(dataset, "test")
    of = BehaviourEncoder("sasrec", dataset.info.items, {"width": 32}, "cpu")
    config = TrainingConfig(epochs=12, min_steps=0, batch=32, learning_rate=5e-3)
    of.fit(sequences, held_out(dataset, "valid"), config)
    items = torch.from_numpy(of.item_embeddings)
    behaviour = ndcg_at(target_ranks(of.encode_tensor(histories), items, targets, histories), 20).mean()
    counts = torch.from_numpy(dataset.training_counts).float().repeat(len(targets), 1)
    popularity = ndcg_at(ranks_of_scores(counts, targets, histories), 20).mean()
    assert behaviour > 1.5 * popularity > 0
