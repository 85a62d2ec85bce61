"""From a trained bundle to ranked items with reasons: filter, search, explain."""

from latentcrs.data.rules import Rule
from latentcrs.recommend.bundle import Bundle, BundleInfo, load_bundle, make_bundle, save_bundle
from latentcrs.recommend.explain import Reason
from latentcrs.recommend.recommender import Query, Recommendation, Recommender, load

__all__ = [
    "Bundle",
    "BundleInfo",
    "Query",
    "Reason",
    "Recommendation",
    "Recommender",
    "Rule",
    "load",
    "load_bundle",
    "make_bundle",
    "save_bundle",
]
