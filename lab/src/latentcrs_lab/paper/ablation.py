"""Ablations: the four of the paper's Table 5 and ours, each against the unchanged model on the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.evaluate.one_turn import METRICS, SystemFigures
from latentcrs_lab.paper.published import published, published_name
from latentcrs_lab.paper.trained_variants import VariantRanks, Variants, as_json, p_values

Finding = Literal["holds", "not seen", "opposite"]
UNCHANGED = "LatentCRS_B"
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Ablation:
    """One change to the model."""

    name: str
    settings: tuple[str, ...]
    source: Literal["Table 5", "ours"]
    about: str


ABLATIONS = (
    Ablation(
        "w/o inference model", ("em.scheme=no-inference",), "Table 5",
        "the generative model learns from its rec loss alone: no q, no KL, no infoNCE, no third stage",
    ),
    Ablation(
        "direct KL align", ("em.scheme=direct-kl",), "Table 5",
        "q and f, g learn at once from both rec losses and lambda KL(q || f), without EM",
    ),
    Ablation(
        "w/o rec loss", ("em.alpha_e=0", "em.alpha_m=0", "em.infonce=1"), "Table 5",
        "no rec loss in the M and the E step, where infoNCE (weight 1) is then what teaches g; the first stage, "
        "which is that loss and nothing else, stays",
    ),
    Ablation(
        "w/o data augmentation", ("em.raw_rows_only=true",), "Table 5",
        "of each user's training rows only the newest",
    ),
    Ablation("intents of items", ("model.centroids=items",), "ours", "K-means on the items' V, not the users' S"),
    Ablation("hard posterior", ("em.posterior=hard",), "ours", "the E step draws q to the likeliest intent alone"),
    Ablation("no text in items", ("model.item_text=false",), "ours", "v is V, not [V ; T]"),
    Ablation("ten negatives", ("em.negatives=10",), "ours", "sampled softmax in place of the whole catalogue"),
    Ablation("g of Eq. 7 in full", ("model.form=full",), "ours", "g keeps the factor that section 5.5 drops"),
    Ablation("tuned encoder", ("em.tune_encoder=5",), "ours", "five epochs more, the behaviour encoder learning too"),
)  # fmt: skip


def table_5(dataset: str | None) -> dict[str, dict[str, float]]:
    """Table 5 as printed for one of `PUBLISHED`, by row and metric; empty for another data set. The paper's own
    simulated user and text encoder, the history left in the ranking. One cell (ml-1m, w/o rec loss) cannot be right:
    an NDCG@5 of 0.0755 above a Recall@5 of 0.0698.
    """
    rows = published("ablation", dataset)
    return {name: dict(zip(METRICS, row, strict=True)) for name, row in rows.items()}


@dataclass(frozen=True)
class AblationRow:
    """One change, trained and measured."""

    name: str
    source: str
    about: str
    settings: tuple[str, ...]
    valid: SystemFigures
    test: SystemFigures
    difference: dict[str, float]  # test: metric -> this less the unchanged model, history left out
    p: dict[str, float]  # test: of that difference, by the paired randomisation test
    published: dict[str, float] | None  # the row of Table 5
    report: dict[str, Any]

    @property
    def findings(self) -> dict[str, Finding]:
        """By metric, whether the paper's finding holds here; empty for what Table 5 does not have."""
        if self.source != "Table 5" or not self.difference:
            return {}
        return {metric: finding(self.difference[metric], self.p[metric]) for metric in METRICS}

    def as_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": self.name,
            "source": self.source,
            "about": self.about,
            "settings": list(self.settings),
            "valid": as_json(self.valid),
            "test": as_json(self.test),
            "training_seconds": self.report["seconds"],
        }
        if self.difference:
            row |= {"difference": self.difference, "p": self.p}
        if self.source == "Table 5":
            row |= {"published": self.published, "paper_finding": self.findings or None}
        return row


@dataclass(frozen=True)
class AblationResult:
    """The unchanged model, which is the first row, and every change to it."""

    dataset: str
    preset: str
    settings: tuple[str, ...]
    n: dict[str, int]  # split -> requests
    rows: list[AblationRow]
    left_out: tuple[str, ...]  # ablations that the preset has already

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "preset": self.preset,
            "settings": list(self.settings),
            "n": self.n,
            "rows": [row.as_json() for row in self.rows],
            "not_run": list(self.left_out),
        }


def finding(difference: float, p: float) -> Finding:
    """Whether the paper's finding, that the model is worse without what an ablation takes away, holds here.

    difference: the ablation less the unchanged model. "not seen": no significant difference, p >= 0.05. No correction
    is made for the number of ablations.
    """
    if p >= SIGNIFICANT or difference == 0:
        return "not seen"
    return "holds" if difference < 0 else "opposite"


def ablations(
    dataset: str | Path,
    preset: str = "paper",
    settings: Sequence[str] = (),
    device: str = "auto",
    names: Sequence[str] | None = None,
    beside: str | None = None,
) -> AblationResult:
    """Train the preset and each ablation of `names` (all of `ABLATIONS`), and rank both splits by variant B.

    An ablation that changes nothing in the preset (ten negatives in `paper`) is left out. `beside`: which data set
    of the paper stands beside ours, if not the one of this data set's name. What was trained before is taken from the
    cache, so an interrupted run goes on.

    Raises:
        UserError: no data set there, an unknown preset, setting, ablation or device.
    """
    known = {ablation.name: ablation for ablation in ABLATIONS}
    if unknown := [name for name in names or () if name not in known]:
        raise UserError(f"There is no ablation {unknown[0]!r}; choose among {', '.join(known)}.")
    variants = Variants(dataset, preset, settings, device)
    theirs = table_5(beside or published_name(variants.dataset))
    wanted = [known[name] for name in names] if names else list(ABLATIONS)
    idle = tuple(ablation.name for ablation in wanted if variants.config(ablation.settings) == variants.base)
    wanted = [ablation for ablation in wanted if ablation.name not in idle]
    with step("ablations", 1 + len(wanted)) as bar:
        base = variants.measure(f"{UNCHANGED}, {preset} preset", variants.base)
        bar.advance()
        unchanged = Ablation(UNCHANGED, (), "Table 5", "nothing is changed")
        rows = [_row(unchanged, base, None, theirs)]
        for ablation in wanted:
            bar.note(ablation.name)
            measured = variants.measure(ablation.name, variants.config(ablation.settings))
            rows.append(_row(ablation, measured, base, theirs))
            bar.advance()
        bar.note(f"{len(wanted)} changes")
    return AblationResult(
        dataset=variants.dataset.info.name,
        preset=preset,
        settings=tuple(settings),
        n={split: len(figures.rows) for split, figures in base.figures.items()},
        rows=rows,
        left_out=idle,
    )


def _row(
    ablation: Ablation, measured: VariantRanks, base: VariantRanks | None, published: dict[str, dict[str, float]]
) -> AblationRow:
    test = measured.figures["test"]
    against = None if base is None else base.figures["test"]
    return AblationRow(
        name=ablation.name,
        source=ablation.source,
        about=ablation.about,
        settings=ablation.settings,
        valid=measured.figures["valid"],
        test=test,
        difference={} if against is None else {name: test.means[name] - against.means[name] for name in METRICS},
        p={} if base is None else p_values(measured, base),
        published=published.get(ablation.name),
        report=measured.report,
    )
