"""The runs behind the paper's tables and figures, one after the other, each kept when it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from latentcrs.base.files import atomic_file
from latentcrs.base.progress import say
from latentcrs.data import PreparedDataset
from latentcrs.estimator import train
from latentcrs.evaluate.intents import describe_intents
from latentcrs.evaluate.one_turn import SYSTEMS, one_turn_of
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.evaluate.talks import multi_turn
from latentcrs.fit.training import fingerprint
from latentcrs.llm import ChatModel
from latentcrs.recommend.bundle import MANIFEST
from latentcrs_lab.paper.ablation import ABLATIONS, ablations
from latentcrs_lab.paper.curves import SYSTEMS as CURVES
from latentcrs_lab.paper.curves import by_conditions, by_history, by_interactions
from latentcrs_lab.paper.intent_map import write_map
from latentcrs_lab.paper.sensitivity import sensitivity
from latentcrs_lab.systems import ASKED, TRAINED

STEPS = (
    "data", "one-turn", "sampled", "multi-turn", "plot", "role-play", "ablation", "sensitivity",
    "conditions", "history", "interactions", "intents",
)  # fmt: skip
TALKING = (
    "b", "f", "b-paper", "f-paper", "popularity", "behaviour", "text", "sum", "bm25-sum",
    "fusion", "fusion-f", "bm25-fusion", "bm25-sum-f", *TRAINED,
)  # fmt: skip
TALKING_PLOTS = ("b", "f", "behaviour", "text", "sum", "bm25-sum", "fusion", "bm25-fusion")


@dataclass(frozen=True)
class PaperSettings:
    """What a run of the paper's experiments depends on.

    settings: laid over every preset ("em.epochs=10"). model: judges for variant V, hears rules, and plays the user
    `llm`; without one those rows are left out. n: how many conversations or requests are sampled where it is asked.
    """

    dataset: PreparedDataset
    out: Path
    settings: tuple[str, ...] = ()
    model: ChatModel | None = None
    n: int = 500
    seed: int = 0
    device: str = "auto"


class PaperRun:
    """All experiments of the paper on one data set; finished steps are read from `out`/steps."""

    def __init__(self, setting: PaperSettings) -> None:
        self.setting = setting
        self.seconds: dict[str, float] = {}
        dataset, model = setting.dataset, setting.model
        checksums = {name: dataset.info.checksums.get(name) for name in ("interactions.parquet", "items.parquet")}
        self._mark = fingerprint("paper", checksums, setting.seed, setting.settings)
        asked = (model.id if model else None, setting.n)
        self._more: dict[str, Any] = {
            "one-turn": (SYSTEMS, TRAINED), "sampled": (SYSTEMS, TRAINED, ASKED, asked), "multi-turn": TALKING,
            "plot": TALKING_PLOTS, "role-play": (ASKED, asked),
            **dict.fromkeys(("conditions", "history", "interactions"), CURVES),
        }  # fmt: skip
        """What a step depends on besides: the systems in it, the model that is asked."""

    @property
    def bundle_folder(self) -> Path:
        return self.setting.out / "bundle"

    @cached_property
    def opened(self) -> EvaluationBundle:
        """The default preset's bundle: trained at first use, resumed, or taken from the cache of trainings."""
        setting = self.setting
        if not (self.bundle_folder / MANIFEST).is_file():
            command = "latentcrs-lab paper"
            train(
                setting.dataset.path, self.bundle_folder, "default", setting.settings, setting.device, command=command
            )
        return EvaluationBundle(self.bundle_folder, setting.dataset.path, setting.device)

    def run(self, steps: Sequence[str] = STEPS) -> dict[str, Any]:
        """The results of `steps`, and of steps that were done before, by name; None where a step does not apply."""
        path, over = self.setting.dataset.path, self.setting.settings
        work: dict[str, Callable[[], Any]] = {
            "data": self._data,
            "one-turn": lambda: one_turn_of(self.opened, baselines=TRAINED).as_json(),
            "sampled": self._sampled,
            "multi-turn": lambda: self._talks("attributes", TALKING, None),
            "plot": lambda: self._talks("plot", TALKING_PLOTS, None),
            "role-play": self._role_play,
            "ablation": self._ablations,
            "sensitivity": lambda: sensitivity(path, settings=over, device=self.setting.device).as_json(),
            "conditions": lambda: [point.as_json() for point in by_conditions(self.opened, self.setting.seed)],
            "history": lambda: [point.as_json() for point in by_history(self.opened, self.setting.seed)],
            "interactions": lambda: [point.as_json() for point in by_interactions(self.opened)],
            "intents": self._intents,
        }
        found = {name: self._kept(name, work[name] if name in steps else None) for name in STEPS}
        return {name: result for name, result in found.items() if name in steps or result is not None}

    def _path(self, name: str) -> Path:
        return self.setting.out / "steps" / f"{name}.json"

    def _kept(self, name: str, work: Callable[[], Any] | None) -> Any:
        """The result of a step as JSON: read where it is there and belongs to these data, else worked out. Without
        `work`, what is there is taken whatever systems and model it was for, and None where there is nothing.
        """
        path = self._path(name)
        mark = f"{self._mark} {fingerprint(self._more[name])}" if name in self._more else self._mark
        if path.is_file():
            kept = json.loads(path.read_text("utf-8"))
            if kept["mark"] == mark or (work is None and kept["mark"].split()[0] == self._mark):
                self.seconds[name] = kept["seconds"]
                return kept["result"]
        if work is None:
            return None
        say(f"— {name} —")
        began = time.perf_counter()
        result = work()
        self.seconds[name] = round(time.perf_counter() - began, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps({"mark": mark, "seconds": self.seconds[name], "result": result}), "utf-8")
        return result

    def _data(self) -> dict[str, float]:
        """Table 1."""
        info = self.setting.dataset.info
        return {
            "users": info.users,
            "items": info.items,
            "actions": info.interactions,
            "length": info.interactions / info.users,
            "sparsity": 100 * (1 - info.interactions / (info.users * info.items)),
        }

    def _ablations(self) -> dict[str, Any]:
        """Table 5: the paper's rows under its preset, ours under the default one."""
        path, over, device = self.setting.dataset.path, self.setting.settings, self.setting.device
        found = {}
        for preset, source in (("paper", "Table 5"), ("default", "ours")):
            names = [ablation.name for ablation in ABLATIONS if ablation.source == source]
            found[preset] = ablations(path, preset, over, device, names).as_json()
        return found

    def _intents(self) -> dict[str, Any]:
        report = describe_intents(self.opened.bundle, self.setting.dataset.path)
        write_map(report, self.setting.out)
        return report.as_json()

    def _talks(self, user: str, variants: Sequence[str], n: int | None) -> dict[str, Any]:
        """Conversations with `user`; the model of the setting judges and hears where a variant asks one."""
        found = multi_turn(
            self.opened, variants, user, self.setting.model if "v" in variants or user == "llm" else None,
            n=n, seed=self.setting.seed,
        )  # fmt: skip
        return found.as_json()

    def _sampled(self) -> dict[str, Any]:
        """Table 3: some requests, those systems too that ask the model."""
        setting = self.setting
        others = TRAINED if setting.model is None else (*TRAINED, *ASKED)
        return one_turn_of(self.opened, sample=setting.n, model=setting.model, baselines=others).as_json()

    def _role_play(self) -> dict[str, Any] | None:
        """Everything that asks the language model: variant V, and the user that it plays. None without one."""
        if self.setting.model is None:
            return None
        return {
            "attributes": self._talks("attributes", ("b", "f", "v", *ASKED), self.setting.n),
            "llm": self._talks("llm", ("b", "f", "text", "fusion"), self.setting.n),
            "rules by the model": multi_turn(
                self.opened, ("f",), "attributes", self.setting.model,
                n=self.setting.n, seed=self.setting.seed, rules="llm",
            ).as_json(),
        }  # fmt: skip
