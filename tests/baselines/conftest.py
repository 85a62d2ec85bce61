"""What several other systems want: the facets that are heard in requests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from latentcrs.baselines.facets import Facets
from latentcrs.baselines.hearing import FacetHearing
from latentcrs.data import PreparedDataset


@pytest.fixture(scope="session")
def hearing(small_movielens: Path) -> FacetHearing:
    """Hears facets in what is said about `small_movielens`; each text once, whichever test asks."""
    dataset = PreparedDataset(small_movielens)
    hearing = FacetHearing(dataset, Facets.of(dataset))
    hearing._extractor.extract = cache(hearing._extractor.extract)  # type: ignore[method-assign]
    return hearing
