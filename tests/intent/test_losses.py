"""Every equation of the intent model against plain loops over numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from elbo import elbo
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.intent import losses
from latentcrs.intent.clues import FACTS
from latentcrs.intent.config import ModelSection
from latentcrs.intent.model import PRIOR_SIZE, GenerativeModel, InferenceModel

B, K, N, D, D_X = 3, 4, 6, 5, 7
Array = NDArray[np.float64]


def softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score) for score in scores]
    return [e / sum(exponentials) for e in exponentials]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_eq_5_f_is_a_softmax_over_what_the_ffn_says_of_each_intent() -> None:
    Z, M, W_m = random(B, D, seed=1), random(K, D, seed=2), random(D, D, seed=3)
    expected = [
        softmax([sum(Z[b, i].item() * (M[j] @ W_m[:, i]).item() for i in range(D)) for j in range(K)])
        for b in range(B)
    ]
    assert losses.generative_log_f(Z, M, W_m).exp().numpy() == pytest.approx(np.array(expected))


def test_eq_12_q_is_attention_of_behaviour_over_the_intents() -> None:
    S, M, W_q, W_k = (
        torch.tensor([[1.0, 2.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.eye(2),
        2 * torch.eye(2),
    )
    # Logits (1, 2) . (2, 0) = 2 and (1, 2) . (0, 2) = 4, over sqrt(2).
    expected = softmax([2 / math.sqrt(2), 4 / math.sqrt(2)])
    assert losses.inference_log_q(S, M, W_q, W_k).exp()[0].tolist() == pytest.approx(expected)
    # The two matrices are not one: the history's comes first.
    W_q = torch.tensor([[0.0, 1.0], [0.0, 0.0]])  # S W_q = (0, 1); M W_k = 2 M
    assert losses.inference_log_q(S, M, W_q, W_k).exp()[0].tolist() == pytest.approx(softmax([0, 2 / math.sqrt(2)]))


def test_eq_15_r_is_the_intents_weighted_by_q() -> None:
    q, M = torch.tensor([[0.25, 0.75]]), torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    assert losses.intent_pool(q, M).tolist() == [[1.0, 6.0]]


def test_eq_16_the_rec_loss_is_the_mean_of_minus_log_softmax_at_the_target() -> None:
    scores = [[1.0, 3.0, -2.0], [0.0, 0.5, 0.5]]
    expected = -(math.log(softmax(scores[0])[1]) + math.log(softmax(scores[1])[0])) / 2
    assert float(losses.rec_loss(torch.tensor(scores), torch.tensor([1, 0]))) == pytest.approx(expected)


def test_eq_8_infonce_weighs_each_intents_log_likelihood_by_q() -> None:
    q = [[0.2, 0.8], [0.5, 0.5]]
    likelihood = [[-1.0, -2.0], [-4.0, -0.5]]
    expected = ((0.2 * 1 + 0.8 * 2) + (0.5 * 4 + 0.5 * 0.5)) / 2
    assert float(losses.infonce_loss(torch.tensor(q), torch.tensor(likelihood))) == pytest.approx(expected)


def test_eq_8_over_candidates_the_target_stands_first() -> None:
    g = random(B, K, 4, seed=5)
    found = losses.candidates_log_likelihood(g)
    for b in range(B):
        for j in range(K):
            assert found[b, j].item() == pytest.approx(math.log(softmax(g[b, j].tolist())[0]))


def test_eq_8_over_the_catalogue_is_the_explicit_log_softmax_of_g() -> None:
    MW_j, VW_v, target = random(K, D, seed=6), random(N, D, seed=7), torch.tensor([5, 0, 5])
    g = (MW_j @ VW_v.T).expand(B, K, N)  # the factorised g is the same for every row
    explicit = g.log_softmax(2)[torch.arange(B), :, target]
    found = losses.catalogue_log_likelihood(MW_j, VW_v, target)
    assert torch.allclose(found, explicit)
    assert found[1, 2].item() == pytest.approx(math.log(softmax((VW_v @ MW_j[2]).tolist())[0]))


def test_the_kl_divergence_is_the_mean_over_rows_of_p_log_p_over_q() -> None:
    p, q = [[0.5, 0.5], [0.9, 0.1]], [[0.25, 0.75], [0.9, 0.1]]
    expected = (0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75) + 0) / 2
    found = losses.kl_divergence(torch.tensor(p).log(), torch.tensor(q).log())
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_eq_11_the_m_step_adds_its_three_terms_with_their_weights() -> None:
    terms = [torch.tensor(value) for value in (2.0, 3.0, 5.0)]
    assert float(losses.m_step_loss(*terms, infonce_weight=1.0, lam=0.5, alpha=4.0)) == 2 + 1.5 + 20
    assert float(losses.m_step_loss(*terms, infonce_weight=0.0, lam=1.0, alpha=0.0)) == 3


def test_eq_17_the_e_step_is_the_divergence_from_the_posterior_and_the_rec_loss() -> None:
    q, posterior = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    divergence = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    found = losses.e_step_loss(q.log(), posterior.log(), torch.tensor(3.0), alpha=5.0)
    assert float(found) == pytest.approx(divergence + 15)


def test_eq_4_the_elbo_is_what_q_expects_of_the_joint_less_q() -> None:
    q, f, likelihood = [[0.5, 0.5], [1 / 3, 2 / 3]], [[0.2, 0.8], [0.6, 0.4]], [[0.1, 0.3], [0.5, 0.2]]
    expected = sum(
        q[b][j] * (math.log(likelihood[b][j]) + math.log(f[b][j]) - math.log(q[b][j])) for b in (0, 1) for j in (0, 1)
    )
    found = elbo(*(torch.tensor(value).log() for value in (q, f, likelihood)))
    assert float(found) == pytest.approx(expected / 2, rel=1e-5)


def test_eq_13_the_posterior_is_bayes_on_the_enumerated_joint() -> None:
    log_f, MW_j, VW_v = random(B, K, seed=8).log_softmax(1), random(K, D, seed=9), random(N, D, seed=10)
    target = torch.tensor([2, 0, 5])
    likelihood = losses.catalogue_log_likelihood(MW_j, VW_v, target)
    found = losses.log_posterior(log_f, likelihood).exp().numpy()
    for b in range(B):
        joint = np.zeros((K, N))  # p(m_j, v | S, x)
        for j in range(K):
            of_item = softmax([float(MW_j[j] @ VW_v[v]) for v in range(N)])
            for v in range(N):
                joint[j, v] = math.exp(log_f[b, j].item()) * of_item[v]
        assert joint.sum() == pytest.approx(1)
        given_item = joint[:, target[b]] / joint[:, target[b]].sum()
        assert found[b] == pytest.approx(given_item)


def test_eq_13_a_log_density_ratio_gives_the_same_posterior_as_the_densities_it_compares() -> None:
    # g_j(v) = log p(v | m_j) / p(v): p(v) is the same for every intent, and cancels.
    log_f, likelihood = random(B, K, seed=11).log_softmax(1), random(B, K, seed=12)
    ratio = likelihood - torch.tensor([[0.3], [2.0], [-5.0]], dtype=torch.float64)
    assert torch.allclose(losses.log_posterior(log_f, ratio), losses.log_posterior(log_f, likelihood))


def test_the_elbo_under_the_posterior_is_the_log_likelihood_and_less_under_any_other_q() -> None:
    log_f, likelihood = random(B, K, seed=13).log_softmax(1), random(B, K, seed=14)
    evidence = (log_f + likelihood).logsumexp(1).mean()
    posterior = losses.log_posterior(log_f, likelihood)
    assert elbo(posterior, log_f, likelihood).item() == pytest.approx(evidence.item())
    for other in (log_f, torch.full((B, K), -math.log(K), dtype=torch.float64)):
        gap = evidence - elbo(other, log_f, likelihood)
        assert gap.item() == pytest.approx(losses.kl_divergence(other, posterior).item())
        assert gap > 0.01


def test_sampled_scores_are_inner_products_with_each_rows_own_candidates() -> None:
    query, items = random(B, D, seed=15), random(N, D, seed=16)
    candidates = torch.tensor([[0, 5], [3, 3], [1, 2]])
    found = losses.sampled_scores(query, items, candidates)
    for b in range(B):
        for c in range(2):
            assert found[b, c].item() == pytest.approx(float(query[b] @ items[candidates[b, c]]))


def generative(form: str, additions: bool) -> GenerativeModel:
    torch.manual_seed(0)
    config = ModelSection(
        intents=K, form=form, text_hidden=8, hidden=9, text_width=3, dropout=0.3,
        item_text=additions, skip=additions, popularity=additions,
    )  # fmt: skip
    model = GenerativeModel(random(K, D), random(N, D, seed=1), random(N, D_X, seed=2), random(N, seed=3), config)
    model = model.double().eval()
    for parameter in model.parameters():  # not as initialised, where the popularity prior has no weight
        torch.nn.init.normal_(parameter)
    return model


def by_loops(model: GenerativeModel, S: Tensor, X: Tensor) -> Array:
    """h (B, n) of Eq. 10 from an explicit g (B, K, n) of Eq. 7."""
    config = model.config
    with torch.no_grad():
        Z = model.read(S, X)
        read = torch.cat([model.norm_S(S), model.norm_X(X)], 1) if config.skip else None
        said = torch.cat([X / X.norm(dim=1, keepdim=True) * D_X**0.5 / 4, torch.zeros(B, FACTS, dtype=X.dtype)], 1)
        gates = model.gates(said).numpy() if config.popularity else None
    W_j, W_m, W_v = (getattr(model, name).detach().numpy() for name in ("W_j", "W_m", "W_v"))
    M, V, T = model.M.numpy(), model.V.numpy(), model.T.numpy()
    g, h = np.zeros((B, K, N)), np.zeros((B, N))
    for b in range(B):
        z = Z[b].numpy()
        f = softmax([float(z @ (M[j] @ W_m)) for j in range(K)])
        for v in range(N):
            item = np.concatenate([V[v], T[v]]) if config.item_text else V[v]
            for j in range(K):
                g[b, j, v] = (M[j] @ W_j) @ (item @ W_v)
                if config.form == "full":
                    g[b, j, v] *= z @ (M[j] @ W_m)
                h[b, v] += f[j] * g[b, j, v]
            if config.skip:
                past = model.skip(read[b : b + 1])[0].detach().numpy() @ (item @ model.W_s.detach().numpy())
                words, about = X[b].numpy() @ model.W_x.detach().numpy(), T[v] @ model.W_t.detach().numpy()
                cosine = words @ about / (np.linalg.norm(words) * np.linalg.norm(about))
                behaved = np.log1p(np.exp(gates[b][2])) * model.a.item() * (S[b].numpy() @ V[v])
                h[b, v] += past + behaved + model.b.item() * cosine
            if config.popularity:
                h[b, v] += gates[b][0] * model.log_popularity[v].item() / PRIOR_SIZE
    return h


@pytest.mark.parametrize("additions", [False, True])
@pytest.mark.parametrize("form", ["factorised", "full"])
def test_eq_10_one_inner_product_is_the_sum_over_intents_of_f_g(form: str, additions: bool) -> None:
    model, S, X = generative(form, additions), random(B, D, seed=4), random(B, D_X, seed=5)
    with torch.inference_mode():
        _, _, query = model(S, X)
        found = (query @ model.items().T).numpy()
    assert found == pytest.approx(by_loops(model, S, X), rel=1e-9, abs=1e-9)


def test_the_full_form_is_not_the_factorised_one() -> None:
    S, X = random(B, D, seed=4), random(B, D_X, seed=5)
    factorised, full = by_loops(generative("factorised", False), S, X), by_loops(generative("full", False), S, X)
    assert np.abs(factorised - full).max() > 0.1


def test_eq_16_the_inference_models_scores_are_r_times_w_e_times_v() -> None:
    torch.manual_seed(0)
    M, V, S = random(K, D), random(N, D, seed=1), random(B, D, seed=2)
    model = InferenceModel(M, V).double()
    with torch.inference_mode():
        log_q = model.log_q(S)
        found = model.query(log_q) @ model.items().T
        expected = (log_q.exp() @ M) @ model.W_e @ V.T
    assert torch.allclose(found, expected)
    assert torch.allclose(log_q.exp().sum(1), torch.ones(B, dtype=torch.float64))


def test_a_hard_posterior_asks_for_its_likeliest_intent_alone() -> None:
    log_q = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.7, 0.2]]).log()
    posterior = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]]).log()
    expected = -(math.log(0.25) + math.log(0.7)) / 2
    assert losses.hard_posterior_loss(log_q, posterior).item() == pytest.approx(expected)


def test_direct_alignment_adds_the_kl_to_both_rec_losses_and_teaches_both_distributions() -> None:
    q, f = torch.tensor([[0.5, 0.5]], requires_grad=True), torch.tensor([[0.25, 0.75]], requires_grad=True)
    loss = losses.direct_kl_loss(q.log(), f.log(), torch.tensor(2.0), torch.tensor(3.0), 0.5, 10.0, 100.0)
    kl = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert loss.item() == pytest.approx(0.5 * kl + 10 * 2 + 100 * 3)
    loss.backward()
    assert f.grad is not None
    assert f.grad[0].tolist() == pytest.approx([-0.5 * 0.5 / 0.25, -0.5 * 0.5 / 0.75])  # -lambda q / f
    assert q.grad is not None
    assert q.grad[0].tolist() == pytest.approx([0.5 * (math.log(2) + 1), 0.5 * (math.log(2 / 3) + 1)])
