"""Claims about the next-item losses: full softmax chunk by chunk, sampled softmax with log-Q correction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.device import fast_dtype
from latentcrs.behaviour import softmax
from latentcrs.behaviour.softmax import Proposal, full_softmax_loss, sampled_softmax_loss

CPU = torch.device("cpu")
# Eight bits of mantissa where this machine computes in bfloat16, 24 where it computes in float32.
RELATIVE = 2e-2 if fast_dtype(CPU) == torch.bfloat16 else 1e-4


def case(rows: int = 60, items: int = 300, width: int = 16, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=generator).requires_grad_()
    vectors = torch.randn(items, width, generator=generator).mul(0.5).requires_grad_()
    return hidden, vectors, torch.randint(items, (rows,), generator=generator)


def assert_close(found: Tensor, wanted: Tensor, relative: float = RELATIVE) -> None:
    assert float((found - wanted).norm() / wanted.norm()) < relative


def test_the_full_softmax_is_cross_entropy_in_value_and_both_gradients() -> None:
    hidden, items, targets = case()
    found = full_softmax_loss(hidden, items, targets)
    gradients = torch.autograd.grad(3 * found, (hidden, items))
    wanted = F.cross_entropy(hidden @ items.T, targets)
    expected = torch.autograd.grad(3 * wanted, (hidden, items))
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=RELATIVE)
    assert_close(gradients[0], expected[0])
    assert_close(gradients[1], expected[1])


def test_rows_count_by_their_weights_in_the_full_softmax_and_in_the_sampled_one() -> None:
    hidden, items, targets = case()
    weights = torch.rand(len(targets), generator=torch.Generator().manual_seed(1)) * 2
    found = full_softmax_loss(hidden, items, targets, weights=weights)
    wanted = (F.cross_entropy(hidden @ items.T, targets, reduction="none") * weights).mean()
    for got, expected in zip(*(torch.autograd.grad(loss, (hidden, items)) for loss in (found, wanted)), strict=True):
        assert_close(got, expected)
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=RELATIVE)
    one, proposal = torch.zeros(len(targets)), Proposal(torch.ones(len(items)))
    one[0] = len(targets)
    losses = []
    for rows, counted in ((slice(None), one), (slice(1), None)):
        torch.manual_seed(0)
        part = hidden[rows], lambda numbers: items[numbers], targets[rows]
        losses.append(float(sampled_softmax_loss(*part, proposal, 50, counted).detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_full_softmax_is_exact_where_the_logits_are_small_whole_numbers() -> None:
    # Whole numbers up to 256 have no rounding in bfloat16 either, so the value is float32's on every machine.
    rng = np.random.default_rng(1)
    hidden = torch.from_numpy(rng.integers(-2, 3, (40, 4))).float()
    items = torch.from_numpy(rng.integers(-2, 3, (90, 4))).float()
    targets = torch.from_numpy(rng.integers(0, 90, 40))
    wanted = float(F.cross_entropy(hidden @ items.T, targets))
    assert float(full_softmax_loss(hidden, items, targets)) == pytest.approx(wanted, rel=1e-6)


def test_the_full_softmax_does_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, items, targets = case(rows=37)
    whole = torch.autograd.grad(full_softmax_loss(hidden, items, targets), (hidden, items))
    monkeypatch.setattr(softmax, "CHUNK_ELEMENTS", 5 * len(items))
    chunked = torch.autograd.grad(full_softmax_loss(hidden, items, targets), (hidden, items))
    assert_close(chunked[0], whole[0], 1e-5)
    assert_close(chunked[1], whole[1])


def test_the_full_softmax_stays_finite_for_a_hopeless_target() -> None:
    hidden, items = torch.tensor([[100.0]]).requires_grad_(), torch.tensor([[1.0], [-1.0]])
    loss = full_softmax_loss(hidden, items, torch.tensor([1]))
    loss.backward()
    assert float(loss.detach()) > 60
    assert hidden.grad is not None
    assert hidden.grad.tolist() == [[pytest.approx(2.0)]]


def among(items: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda rows: F.embedding(rows, items)


def test_the_sampled_softmax_with_many_samples_comes_near_the_full_one_whatever_they_are_drawn_from() -> None:
    hidden, items, targets = case(rows=30, items=40, width=8)
    wanted = F.cross_entropy(hidden @ items.T, targets)
    expected = torch.autograd.grad(wanted, items)[0]
    popularity = 10 * torch.arange(40)
    for counts in (torch.zeros(40), popularity):
        torch.manual_seed(0)
        found = sampled_softmax_loss(hidden, among(items), targets, Proposal(counts), 100_000)
        assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=0.02)
        assert_close(torch.autograd.grad(found, items)[0], expected, 0.05)


def test_a_sample_that_is_the_target_is_no_negative() -> None:
    hidden, items = torch.tensor([[1.0]]), torch.tensor([[2.0]])
    loss = sampled_softmax_loss(hidden, among(items), torch.tensor([0]), Proposal(torch.zeros(1)), 10)
    assert float(loss) == 0.0


def test_negatives_are_drawn_as_often_as_items_were_chosen_and_once_more() -> None:
    torch.manual_seed(0)
    counts = torch.tensor([0, 7, 0, 1, 90])
    proposal = Proposal(counts)
    drawn = proposal.draw(200_000)
    shares = (counts + 1) / (counts + 1).sum()
    assert proposal.log_q.exp().tolist() == pytest.approx(shares.tolist(), rel=1e-5)
    assert (torch.bincount(drawn, minlength=5) / len(drawn)).tolist() == pytest.approx(shares.tolist(), abs=0.004)


def test_the_sampled_softmax_asks_for_the_targets_and_the_negatives_and_for_no_other_item() -> None:
    asked: list[int] = []

    def vectors(rows: Tensor) -> Tensor:
        asked.append(len(rows))
        return torch.ones(len(rows), 4)

    million = Proposal(torch.zeros(1_000_000))
    sampled_softmax_loss(torch.ones(7, 4), vectors, torch.arange(7), million, 30)
    assert sorted(asked) == [7, 30]


def test_scores_beside_the_product_and_their_gates_are_in_the_full_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "CHUNK_ELEMENTS", 300 * 7)  # several chunks
    hidden, items, targets = case()
    generator = torch.Generator().manual_seed(1)
    channels = torch.rand(3, len(hidden), len(items), generator=generator)
    gates = torch.rand(len(hidden), 3, generator=generator).requires_grad_()
    found = full_softmax_loss(hidden, items, targets, gates, channels)
    gradients = torch.autograd.grad(found, (hidden, items, gates))
    wanted = F.cross_entropy(hidden @ items.T + torch.einsum("bc,cbn->bn", gates, channels), targets)
    expected = torch.autograd.grad(wanted, (hidden, items, gates))
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=RELATIVE)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert_close(ours, theirs)
