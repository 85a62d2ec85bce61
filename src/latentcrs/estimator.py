"""Training from end to end: a data set and settings in, a recommender or the folder of a bundle out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentcrs.base.errors import UserError
from latentcrs.base.files import refuse_foreign_folder
from latentcrs.base.group import Together
from latentcrs.base.places import local_place
from latentcrs.base.progress import say
from latentcrs.data import PreparedDataset
from latentcrs.fit.training import fit_behaviour, fit_model, gather_inputs, work_folder
from latentcrs.hear.open import hearing
from latentcrs.intent import Config, load_config
from latentcrs.recommend import Recommender
from latentcrs.recommend.bundle import MANIFEST, Bundle, BundleInfo, make_bundle, save_bundle
from latentcrs.text import open_encoder
from latentcrs.users import fill_requests


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


def train(
    dataset: str | Path,
    out: str | Path,
    preset: str = "default",
    settings: Sequence[str] = (),
    device: str = "auto",
    fresh: bool = False,
    command: str = "latentcrs.train",
    checkpoints: str | Path | None = None,
    together: Together | None = None,
) -> BundleInfo:
    """Train LatentCRS on a prepared data set and write the bundle `out`. Simulates requests for splits without any.

    `settings` lays values over the preset ("em.alpha_m=1"); `fresh` trains anew what an earlier run has left, in
    `checkpoints` (path or URL; by default `work_folder()`). `together` is the group that trains, by default this
    process; texts are embedded, histories encoded and intents clustered here.

    Raises:
        UserError: no data set there, an unknown preset or setting, a device that is not there, `out` is something
            else's folder, or `checkpoints` cannot be reached.

    >>> info = latentcrs.train(data.path, folder / "films", settings=settings)
    >>> info.dataset.items, info.config.model.intents
    (671, 16)
    """
    config = load_config(preset, list(settings))
    _checkpoint_folder(checkpoints)
    refuse_foreign_folder(Path(out), MANIFEST)
    bundle = fit_bundle(PreparedDataset(dataset), config, device, fresh, command, checkpoints, together)
    return save_bundle(Path(out), bundle)


def fit_bundle(
    dataset: PreparedDataset,
    config: Config,
    device: str = "auto",
    fresh: bool = False,
    command: str = "latentcrs.train",
    checkpoints: str | Path | None = None,
    together: Together | None = None,
) -> Bundle:
    """What `train` writes, in memory.

    Raises:
        UserError: as `train`.
    """
    folder = _checkpoint_folder(checkpoints)
    complete_requests(dataset)
    encoder = open_encoder(config.text_encoder, device)
    behaviour = fit_behaviour(dataset, config, device, fresh, folder, together)
    inputs = gather_inputs(dataset, behaviour, encoder, config)
    made = fit_model(inputs, behaviour, config, fresh, folder, together)
    report = {"behaviour": made.behaviour.report, **made.report}
    return make_bundle(
        dataset, made.behaviour, made.inference, made.generative, encoder, config, report, command, inputs.reader
    )


def _checkpoint_folder(checkpoints: str | Path | None) -> str | Path:
    """Where checkpoints go."""
    folder = local_place(checkpoints or work_folder())
    if isinstance(folder, Path) and folder.is_file():
        raise UserError(f"{folder} is a file; --checkpoints wants a folder.")
    return folder


def complete_requests(dataset: PreparedDataset) -> None:
    """Simulate the requests of the splits that have none."""
    if missing := dataset.missing_splits:
        say(f"requests: simulating those for {', '.join(missing)}")
        fill_requests(dataset)
