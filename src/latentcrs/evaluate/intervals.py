"""How sure a figure is: bootstrap intervals of a mean, and a paired test between two systems."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000


def bootstrap_ci95(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """95% percentile-bootstrap intervals of the means of columns (Efron & Tibshirani, 1993).

    values (B, m) -> (2, m): lower and upper bounds. The same resamples of rows serve all columns.
    """
    rng = np.random.default_rng(seed)
    n = len(values)
    means = np.empty((RESAMPLES, values.shape[1]))
    for start in range(0, RESAMPLES, 100):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=min(100, RESAMPLES - start))
        means[start : start + len(weights)] = weights @ values / n
    return np.percentile(means, [2.5, 97.5], axis=0)


def means_of(
    names: Iterable[str], values: NDArray[np.float64]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The means of named columns, values (B, m), and their 95% intervals."""
    names, (low, high) = list(names), bootstrap_ci95(values)
    bounds = {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
    return dict(zip(names, values.mean(0).tolist(), strict=True)), bounds


def paired_p_value(ours: NDArray[np.float64], theirs: NDArray[np.float64], seed: int = 0) -> float:
    """Two-sided p of the mean difference of paired rows, both (B,), by random sign flips (Fisher's randomisation
    test; Smucker et al., CIKM 2007). 1.0 where fewer than two rows differ: one sign flipped is as far from zero.
    """
    difference = ours - theirs
    difference = difference[difference != 0]  # a zero has no sign: it adds nothing to any resample
    if len(difference) < 2:
        return 1.0
    result = stats.permutation_test(
        (difference,),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=4999,
        batch=200,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
