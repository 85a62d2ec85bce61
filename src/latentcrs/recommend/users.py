"""The people a bundle was trained on: their histories, out of the data set that it names."""

from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.recommend.bundle import BundleInfo

DECISIVE = ("interactions.parquet", "items.parquet")
"""Files that say who did what; requests may be written anew without changing that."""


def trained_dataset(info: BundleInfo, path: str | Path | None = None) -> PreparedDataset:
    """The data set that a bundle was trained on. `path`: where it lies now, if it was moved.

    Raises:
        UserError: it is gone, or its log or catalogue is another by now.
    """
    trained = info.dataset
    folder = Path(path or trained.path)
    if not folder.exists():
        raise UserError(f"The data set that this bundle was trained on is no longer at {folder}.")
    dataset = PreparedDataset(folder)
    for name in DECISIVE:
        if dataset.info.checksums.get(name) != trained.checksums.get(name):
            raise UserError(
                f"{folder} is no longer the data set that this bundle was trained on ({name} differs); name the "
                "right one, or train again."
            )
    return dataset


def user_history(dataset: PreparedDataset, user_id: str) -> list[str]:
    """The item ids of a user of the data set, oldest first.

    Raises:
        UserError: the data set has no such user.
    """
    rows = dataset.user_ids.cast(pl.String) == user_id
    if not rows.any():
        some = ", ".join(dataset.user_ids.head(3).to_list())
        raise UserError(f"The data set {dataset.info.name} has no user {user_id!r}; its ids look like {some}.")
    user = int(rows.arg_max() or 0)
    items = dataset.sequence[dataset.offsets[user] : dataset.offsets[user + 1]]
    return [str(item_id) for item_id in dataset.items["item_id"].gather(items)]
