"""From raw logs and catalogues to a prepared data set: sources, checks, filtering, order, splits, requests."""

from latentcrs.data.dataset import ColumnKind, DatasetInfo, PreparedDataset
from latentcrs.data.histories import PAD, Histories

__all__ = ["PAD", "ColumnKind", "DatasetInfo", "Histories", "PreparedDataset"]
