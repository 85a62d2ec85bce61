"""LatentCRS as something to fit: settings in, a data set in, a recommender out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.fit.training import fit_bundle
from latentcrs.hear.open import hearing
from latentcrs.intent import load_config
from latentcrs.recommend import Recommender


class LatentCRS:
    """LatentCRS before it is trained.

    >>> model = LatentCRS(model={"intents": 16}, em={"epochs": 4}).fit(data)
    >>> model
    Recommender(671 items, 16 intents, trained on frames)
    """

    def __init__(
        self, preset: str = "default", *, device: str = "auto", fresh: bool = False, **settings: Any
    ) -> None:
        """Settings are those of a preset, section by section, laid over it: `em={"epochs": 20}`,
        `model={"intents": 64}`, `behaviour={"network": {"width": 32}}`, `text_encoder="minilm"`.

        preset: "default", or "paper": everything as published. device: auto, cpu, cuda or mps. fresh: train anew what
        an earlier run on the same data has left in the cache.

        Raises:
            UserError: no such preset, or a setting that is unknown or of the wrong type.
        """
        self.config = load_config(preset, sections=settings)
        self.device, self.fresh = device, fresh

    def fit(self, dataset: PreparedDataset | str | Path) -> Recommender:
        """Train on a data set, or on the folder of one; what `latentcrs.train` does, in memory. A run that was
        stopped goes on where it was. Simulates requests for splits without any, and keeps them in the data set.

        Raises:
            UserError: no data set (there), or a device that is not there.
        """
        if not isinstance(dataset, (PreparedDataset, str, Path)):
            kind = type(dataset).__name__
            raise UserError(
                f"fit takes a data set, not a {kind}: latentcrs.Dataset.from_frames(interactions, items)."
            )
        prepared = dataset if isinstance(dataset, PreparedDataset) else PreparedDataset(dataset)
        bundle = fit_bundle(prepared, self.config, self.device, self.fresh, "latentcrs.LatentCRS().fit")
        return hearing(Recommender(bundle))
