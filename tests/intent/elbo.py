"""The bound that expectation-maximisation climbs: training takes its parts, the tests the whole."""

from __future__ import annotations

from torch import Tensor


def elbo(log_q: Tensor, log_f: Tensor, log_likelihood: Tensor) -> Tensor:
    """Eq. 4: mean of sum_j q_j (log p(v | m_j) + log f_j - log q_j). All (B, K) -> scalar."""
    return (log_q.exp() * (log_likelihood + log_f - log_q)).sum(1).mean()
