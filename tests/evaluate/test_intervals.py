"""Claims about intervals and paired tests."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from latentcrs.evaluate.intervals import bootstrap_ci95, paired_p_value


@pytest.mark.parametrize("differences", [[], [0.0, 0.0], [0.0, 1.0], [0.3]])
def test_nothing_can_be_said_of_fewer_than_two_rows_that_differ(differences: list[float]) -> None:
    ours = np.array(differences)
    assert paired_p_value(ours, np.zeros_like(ours)) == 1.0


@pytest.mark.parametrize(
    "differences", [[1.0, 1.0, 1.0], [0.5, -0.2, 0.3, 0.0], [1.0, -1.0], [0.1, 0.2, 0.3, 0.4, -0.05]]
)
def test_p_is_the_share_of_sign_flips_that_are_as_far_from_zero(differences: list[float]) -> None:
    given = np.array([value for value in differences if value])
    sums = np.array([np.dot(signs, np.abs(given)) for signs in product((-1, 1), repeat=len(given))])
    # Two-sided as the smaller tail twice.
    tail = min((sums >= given.sum() - 1e-12).mean(), (sums <= given.sum() + 1e-12).mean())
    ours = np.array(differences)
    assert paired_p_value(ours, np.zeros_like(ours)) == pytest.approx(min(1.0, 2 * tail))


def test_the_interval_of_a_share_is_that_of_the_binomial() -> None:
    shares = (np.arange(400) < 120).astype(float)[:, None]
    low, high = bootstrap_ci95(shares)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 400)
    assert low[0] == pytest.approx(0.3 - half, abs=0.006)
    assert high[0] == pytest.approx(0.3 + half, abs=0.006)
