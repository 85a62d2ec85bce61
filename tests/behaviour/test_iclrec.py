"""Claims about ICLRec's views and contrasts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentcrs.behaviour.iclrec import ICLRec, ICLRecConfig, augment, contrast
from latentcrs.behaviour.kmeans import kmeans, nearest

START, MASK = 100, 101


def rows(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
    """Rows of START and the items 0, 1, 2, ..., padded with START."""
    tokens = torch.full((len(lengths), width), START)
    for row, length in enumerate(lengths):
        tokens[row, 1:length] = torch.arange(length - 1)
    return tokens, torch.tensor(lengths)


def test_a_view_is_a_part_a_masking_or_a_reordering_of_the_history() -> None:
    torch.manual_seed(0)
    lengths = [1, 2, 5, 11, 12] * 40
    tokens, sizes = rows(lengths, 12)
    views, kept = augment(tokens, sizes, MASK, ICLRecConfig())
    assert views.shape == tokens.shape
    kinds = set()
    for length, whole, view, size in zip(lengths, tokens.tolist(), views.tolist(), kept.tolist(), strict=True):
        assert 1 <= size <= length
        original, seen = whole[:length], view[:size]
        if size < length:
            kinds.add("crop")
            assert size == max(1, int(length * 0.6))
            assert any(seen == original[first : first + size] for first in range(length - size + 1))
        elif MASK in seen:
            kinds.add("mask")
            assert all(new in (old, MASK) for old, new in zip(original, seen, strict=True))
        elif seen != original:
            kinds.add("reorder")
            assert sorted(seen) == sorted(original)
            moved = [place for place in range(length) if seen[place] != original[place]]
            assert moved[-1] - moved[0] < max(1, int(length * 0.3))
    assert kinds == {"crop", "mask", "reorder"}


def test_the_contrast_of_two_pairs_is_the_one_worked_out_by_hand() -> None:
    views = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    others = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    # Similarities, temperature 0.5: [[1.2, 0], [1.6, 2]].
    forward = (math.log(math.exp(1.2) + 1) - 1.2) + (math.log(math.exp(1.6) + math.exp(2)) - 2)
    backward = (math.log(math.exp(1.2) + math.exp(1.6)) - 1.2) + (math.log(1 + math.exp(2)) - 2)
    found = contrast(views, others, 0.5)
    assert float(found) == pytest.approx((forward + backward) / 4, rel=1e-5)


def test_rows_of_ones_own_intent_are_no_negatives() -> None:
    views = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    others = torch.tensor([[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]])
    # All of one intent: nothing is left to tell a row from, and the loss is zero.
    assert float(contrast(views[:2], others[:2], 1.0, torch.tensor([4, 4]))) == 0.0
    # Rows 0 and 1 share an intent. Similarities: [[0.6, -, 1], [-, 1, 0], [1, 0.8, 0.6]].
    forward = [
        math.log(math.exp(0.6) + math.exp(1.0)) - 0.6,
        math.log(math.exp(1.0) + 1) - 1.0,
        math.log(math.exp(1.0) + math.exp(0.8) + math.exp(0.6)) - 0.6,
    ]
    backward = [
        math.log(math.exp(0.6) + math.exp(1.0)) - 0.6,
        math.log(math.exp(1.0) + math.exp(0.8)) - 1.0,
        math.log(math.exp(1.0) + 1 + math.exp(0.6)) - 0.6,
    ]
    found = contrast(views, others, 1.0, torch.tensor([0, 0, 1]))
    assert float(found) == pytest.approx((sum(forward) + sum(backward)) / 6, rel=1e-5)


def test_the_contrasts_are_added_with_their_weights() -> None:
    def loss(sequence: float, intent: float) -> float:
        torch.manual_seed(0)
        config = ICLRecConfig(width=8, length=6, dropout=0, sequence_contrast=sequence, intent_contrast=intent)
        network = ICLRec(30, config)
        tokens = torch.tensor([[30, 1, 2, 3], [30, 9, 8, 30], [30, 4, 5, 6]])
        ends = network(tokens)[torch.arange(3), torch.tensor([3, 2, 3])].detach()
        network.begin_epoch(ends.repeat(4, 1), 0)  # every row is an intent of its own
        targets = torch.tensor([[1, 2, 3, 4], [9, 8, 7, -1], [4, 5, 6, 7]])
        torch.manual_seed(1)
        return float(network.loss(tokens, targets).detach())

    plain = loss(0, 0)
    sequence, intent = loss(1, 0) - plain, loss(0, 1) - plain
    assert sequence > 0.1 and intent > 0.1
    assert loss(0.5, 2) == pytest.approx(plain + 0.5 * sequence + 2 * intent, rel=1e-4)


def test_kmeans_finds_groups_that_are_there_and_does_so_again_under_the_same_seed() -> None:
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    group = torch.arange(3).repeat_interleave(20)
    points = centres[group] + 0.1 * torch.randn(60, 2)
    found = kmeans(points, 3, seed=4)
    assert torch.equal(found, kmeans(points, 3, seed=4))
    assigned = nearest(points, found)
    assert len(set(zip(group.tolist(), assigned.tolist(), strict=True))) == 3
    for cluster in range(3):
        assert torch.allclose(found[cluster], points[assigned == cluster].mean(0), atol=1e-4)
