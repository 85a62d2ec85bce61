"""Sensitivity to K, alpha^M, alpha^E and lambda (Figure 3 of the paper): one of them changed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.evaluate.one_turn import SystemFigures
from latentcrs.intent import Config
from latentcrs_lab.paper.trained_variants import Variants, as_json


@dataclass(frozen=True)
class Parameter:
    """One axis of Figure 3."""

    setting: str
    values: tuple[float, ...]

    def of(self, config: Config) -> float:
        """Its value in a configuration."""
        section, name = self.setting.split(".")
        return float(getattr(getattr(config, section), name))


PARAMETERS = {
    "K": Parameter("model.intents", (16, 32, 64, 128, 256, 512, 1024)),
    "alpha_m": Parameter("em.alpha_m", (0, 0.5, 1, 2, 5, 10)),
    "alpha_e": Parameter("em.alpha_e", (0, 0.5, 1, 2, 5, 10)),
    "kl": Parameter("em.kl", (0, 0.01, 0.05, 0.2, 1)),
}
"""kl is lambda of Eq. 11. Where infoNCE is off (`em.infonce` 0, as published for MovieLens-1M), alpha_m = 0 leaves
nothing that teaches g: the point at chance is part of the curve."""
BUDGET = ("em.epochs=20", "em.min_steps=0", "em.patience=5")
"""Every point's, less than the presets': shorter stages whose learning rate falls as far. So a point compares with
the others of its figure, not with the tables of `evaluate one-turn`."""


@dataclass(frozen=True)
class Point:
    """One value of one parameter, trained and measured."""

    value: float
    valid: SystemFigures
    test: SystemFigures
    report: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "valid": as_json(self.valid),
            "test": as_json(self.test),
            "training_seconds": self.report["seconds"],
        }


@dataclass(frozen=True)
class SensitivityResult:
    """A curve for each parameter; the curves meet in the preset's own values."""

    dataset: str
    preset: str
    settings: tuple[str, ...]  # laid over the preset, the budget among them
    n: dict[str, int]  # split -> requests
    centre: dict[str, float]  # parameter -> the preset's value
    curves: dict[str, list[Point]]

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "preset": self.preset,
            "settings": list(self.settings),
            "n": self.n,
            "centre": self.centre,
            "curves": {name: [point.as_json() for point in points] for name, points in self.curves.items()},
        }


def sensitivity(
    dataset: str | Path,
    preset: str = "paper",
    settings: Sequence[str] = (),
    device: str = "auto",
    names: Sequence[str] | None = None,
    budget: Sequence[str] = BUDGET,
) -> SensitivityResult:
    """Train every point of the curves of `names` (all of `PARAMETERS`) and rank both splits by variant B.

    A point differs from the preset, with `budget` and then `settings` laid over it, in one value. The preset's own
    value is a point of every curve, and is trained once. Points share the stages that they do not change: alpha_e
    acts on the third only, alpha_m and kl from the second on. What was trained before is taken from the cache.

    Raises:
        UserError: no data set there, an unknown preset, setting, parameter or device.
    """
    if unknown := [name for name in names or () if name not in PARAMETERS]:
        raise UserError(f"There is no parameter {unknown[0]!r}; choose among {', '.join(PARAMETERS)}.")
    laid_over = (*budget, *settings)
    variants = Variants(dataset, preset, laid_over, device)
    chosen = {name: PARAMETERS[name] for name in names or PARAMETERS}
    centre = {name: parameter.of(variants.base) for name, parameter in chosen.items()}
    values = {name: sorted({*parameter.values, centre[name]}) for name, parameter in chosen.items()}
    curves: dict[str, list[Point]] = {}
    n: dict[str, int] = {}
    with step("sensitivity", sum(map(len, values.values()))) as bar:
        for name, parameter in chosen.items():
            curves[name] = []
            for value in values[name]:
                label = f"{name} = {value:g}"
                bar.note(label)
                measured = variants.measure(label, variants.config([f"{parameter.setting}={value:g}"]))
                figures = measured.figures
                curves[name].append(Point(value, figures["valid"], figures["test"], measured.report))
                n = {split: len(of_split.rows) for split, of_split in figures.items()}
                bar.advance()
        bar.note(f"{len(chosen)} parameters")
    return SensitivityResult(variants.dataset.info.name, preset, laid_over, n, centre, curves)
