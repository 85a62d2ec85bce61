"""Readers of raw data: each turns files in one known layout into a `RawData`."""

from latentcrs.data.raw import Source
from latentcrs.data.sources.amazon import AMAZON
from latentcrs.data.sources.movielens import MOVIELENS
from latentcrs.data.sources.redial import REDIAL
from latentcrs.data.sources.reviews import REVIEWS

SOURCES: dict[str, Source] = {source.name: source for source in (*MOVIELENS, *AMAZON, *REDIAL, *REVIEWS)}
"""Every source that `latentcrs data prepare NAME --from PATH` knows, by name. `own` has its own options."""
