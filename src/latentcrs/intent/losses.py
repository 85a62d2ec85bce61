"""Every loss and probability of LatentCRS as a pure function of tensors (equation numbers are the paper's).

B rows, K intents, C candidate items of which one is the target. All losses are means over the batch, so their weights
do not depend on its size.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def inference_log_q(S: Tensor, M: Tensor, W_q: Tensor, W_k: Tensor) -> Tensor:
    """Eq. 12: log q(m | S) = log softmax((S W_q)(M W_k)^T / sqrt(d)). S (B, d), M (K, d), W (d, d) -> (B, K)."""
    return F.log_softmax((S @ W_q) @ (M @ W_k).T / M.shape[1] ** 0.5, dim=1)


def generative_log_f(Z: Tensor, M: Tensor, W_m: Tensor) -> Tensor:
    """Eq. 5: log f = log softmax(FFN([S ; P X]) (M W_m)^T). Z = FFN(..) (B, d), M (K, d) -> (B, K)."""
    return F.log_softmax(Z @ (M @ W_m).T, dim=1)


def intent_query(f: Tensor, MW_j: Tensor, c: Tensor | None = None) -> Tensor:
    """Sum over j of f_j c_j (m_j W_j), the query whose inner product with (v W_v) is h(v) of Eq. 10.

    f (B, K), MW_j (K, d), c (B, K) for the full form of Eq. 7, None (ones) for the factorised one -> (B, d).
    g is linear in v, so h(v) = sum_j f_j g_j(v) needs no (B, K, n).
    """
    return (f if c is None else f * c) @ MW_j


def rec_loss(scores: Tensor, target: Tensor) -> Tensor:
    """L_rec of Eq. 10 and Eq. 16, with the minus sign: mean of -log softmax(scores)[target].

    scores (B, C) are h(v), or r W_e v, of the candidates; target (B,) is the column of each row's own item.
    """
    return F.cross_entropy(scores, target)


def infonce_loss(q: Tensor, log_likelihood: Tensor) -> Tensor:
    """L_infoNCE of Eq. 8: mean of -sum_j q_j log softmax_{v in C}(g_j)[target]. Both (B, K); q is held fixed."""
    return -(q * log_likelihood).sum(1).mean()


def mixture_loss(log_f: Tensor, log_likelihood: Tensor) -> Tensor:
    """Mean of -log sum_j f_j p(v | m_j), which Eq. 4 bounds: the intents alone. Both (B, K), logarithms -> scalar."""
    return -torch.logsumexp(log_f + log_likelihood, 1).mean()


def candidates_log_likelihood(g: Tensor) -> Tensor:
    """log softmax_{v in C}(g_j)[target] where the target is the first candidate. g (B, K, C) -> (B, K).

    Only for sampled candidates: C is the number of negatives and one, never the catalogue.
    """
    return g[..., 0] - g.logsumexp(-1)


def catalogue_log_likelihood(MW_j: Tensor, VW_v: Tensor, target: Tensor) -> Tensor:
    """log softmax over the whole catalogue of the factorised g_j, at the target: (K, d), (n, d), (B,) -> (B, K).

    The factorised g_j(v) = (m_j W_j).(v W_v) does not depend on the row, so one (K, n) normaliser serves all rows.
    """
    normaliser = (MW_j @ VW_v.T).logsumexp(1)  # (K,)
    return VW_v[target] @ MW_j.T - normaliser


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Mean over rows of KL(p || q) = sum_j p_j (log p_j - log q_j). Both (B, K), logarithms -> scalar."""
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def log_posterior(log_f: Tensor, log_likelihood: Tensor) -> Tensor:
    """Eq. 13 in log space: log p(m_j | v, S, x) = log f_j + g_j(v) - logsumexp_j(..). Both (B, K) -> (B, K).

    `log_likelihood` is g_j(v), a log density ratio, or any log p(v | m_j) up to a term that does not depend on j.
    """
    return F.log_softmax(log_f + log_likelihood, dim=1)


def m_step_loss(infonce: Tensor, kl: Tensor, rec: Tensor, infonce_weight: float, lam: float, alpha: float) -> Tensor:
    """Eq. 11: L^M = w L_infoNCE + lambda KL(q || f) + alpha^M L_rec^M. Scalars; w is 1 in the paper, and a switch."""
    return infonce_weight * infonce + lam * kl + alpha * rec


def e_step_loss(log_q: Tensor, posterior: Tensor, rec: Tensor, alpha: float) -> Tensor:
    """Eq. 14 and 17: L^E = KL(q || p(m | v, S, x)) + alpha^E L_rec^E. log_q, posterior (B, K) in logarithms."""
    return kl_divergence(log_q, posterior) + alpha * rec


def hard_posterior_loss(log_q: Tensor, posterior: Tensor) -> Tensor:
    """Mean of -log q_j*, j* = argmax_j p(m_j | v, S, x): hard EM's stand-in for the KL of Eq. 14. Both (B, K).

    It is KL(p* || q) of the one-hot p*; the other direction, which Eq. 14 has, is infinite for every q with more
    than one intent. The M step keeps weighing by the soft q that results.
    """
    return F.nll_loss(log_q, posterior.argmax(1))


def direct_kl_loss(
    log_q: Tensor, log_f: Tensor, rec_e: Tensor, rec_m: Tensor, lam: float, alpha_e: float, alpha_m: float
) -> Tensor:
    """Table 5's "direct KL align": lambda KL(q || f) + alpha^E L_rec^E + alpha^M L_rec^M, q and f both learning from
    all of it. log_q, log_f (B, K) in logarithms, the rest scalars -> scalar.
    """
    return lam * kl_divergence(log_q, log_f) + alpha_e * rec_e + alpha_m * rec_m


def intent_pool(q: Tensor, M: Tensor) -> Tensor:
    """Eq. 15: r = q M. (B, K), (K, d) -> (B, d)."""
    return q @ M


def sampled_scores(query: Tensor, items: Tensor, candidates: Tensor) -> Tensor:
    """Inner products of each row with its own candidates: (B, w), (n, w), (B, C) -> (B, C)."""
    # Not items[candidates]: its backward pass adds up in an order that differs from run to run.
    return torch.einsum("bw,bcw->bc", query, F.embedding(candidates, items))
