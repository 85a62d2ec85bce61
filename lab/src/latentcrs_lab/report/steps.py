"""The steps of a report: commands that print their figures as JSON, and the data sets and bundles that these read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs_lab.systems import ASKED, TRAINED

Words = tuple[str, ...]
PRODUCT, LAB, SCRIPT = "latentcrs", "latentcrs-lab", "python"
"""Programs of a step; `SCRIPT` runs a file of `CHECKOUT`."""
CHECKOUT = Path(__file__).resolve().parents[4]
SCRIPTS = CHECKOUT / "lab" / "scripts"
"""The repository, where the laboratory was installed from one."""
TALKING = (
    "b,f,b-paper,f-paper,popularity,behaviour,text,sum,bm25-sum,fusion,bm25-fusion,bm25-sum-f,fusion-f,bm25-fusion-f"
)
PLOTS = "b,f,behaviour,text,sum,bm25-sum,fusion,bm25-fusion"
SAMPLE = "500"
"""Requests and conversations where a language model is asked."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from. raw: folders in $LATENTCRS_DATA. prepare: what follows `latentcrs data prepare`,
    with {} for that folder. people: whose requests there are for it.
    """

    raw: tuple[str, ...]
    prepare: Words
    people: tuple[str, ...] = ()


DATASETS = {
    "ml-1m": Source(
        ("ml-1m", "redial-train"), ("ml-1m", "--from", "{}/ml-1m", "--conversations", "{}/redial-train"),
        ("redial", "tomt", "opendialkg"),
    ),
    "redial": Source(("redial-train",), ("redial", "--from", "{}/redial-train"), ("redial",)),
    "ml-100k": Source(("ml-100k",), ("ml-100k", "--from", "{}/ml-100k")),
    "video-games-2018": Source(
        ("video-games-2018",),
        ("own", "--interactions", "{}/video-games-2018/interactions.parquet",
         "--items", "{}/video-games-2018/items.parquet"),
    ),
    "cds-2018": Source(
        ("cds-2018",), ("own", "--interactions", "{}/cds-2018/interactions.csv", "--items", "{}/cds-2018/items.csv"),
    ),
    "amazon-2023-sample": Source(
        ("amazon-2023-sample",), ("amazon-2023-sample", "--from", "{}/amazon-2023-sample"), ("reviews",)
    ),
}  # fmt: skip
FIRST = "ml-1m"
"""The data set of the tables that are about one."""
REQUESTS = {
    "redial": "redial-valid", "tomt": "tomt-movies/validation.jsonl", "opendialkg": "opendialkg/train.jsonl",
    "reviews": "amazon-2023-sample",
}  # fmt: skip
"""Where requests of people lie in $LATENTCRS_DATA."""
ADDITIONS = {
    "calibrated": ("model.calibrated=false", "calibration"),
    "clues": ("model.clues=false", "matching words and co-mentions"),
    "intent-rec": ("em.intent_rec=0", "the intents' own likelihood"),
    "unordered": ("behaviour.unordered=0", "behaviour without order"),
    "skip": ("model.skip=false", "terms past the intents"),
    "item-text": ("model.item_text=false", "texts of items"),
    "popularity": ("model.popularity=false", "popularity"),
    "negatives": ("em.negatives=10", "the whole catalogue as negatives (ten sampled instead)"),
}
"""What the default preset adds to the paper's: the setting that leaves it out, and what it is."""
BENCHES = {
    **{f"prepare-{rows}": f"prepare --data ml-1m --rows {rows}" for rows in (1_000_000, 5_000_000, 20_000_000)},
    "train": "train --data ml-1m",
    "embed": "embed {dataset}",
    "turn": "turn {bundle}",
    **{
        f"retrieve-{n}": f"retrieve --bundle {{bundle}} --items {n}" for n in (100_000, 300_000, 1_000_000, 3_000_000)
    },
    "bulk": "bulk {bundle}",
    "serve": "serve {bundle}",
    "serve-kill": "serve {bundle} --kill",
    "serve-pause": "serve {bundle} --pause 10",
}
"""What follows `latentcrs bench` or `latentcrs-lab bench`."""
BENCHES_OF_PRODUCT = ("turn", "retrieve", "serve")


@dataclass(frozen=True)
class Step:
    """One step: its commands, one after the other, of which the last prints the result as JSON where `makes` is None.

    name: "DATASET/PART" or, where a part has several steps, "DATASET/PART-...". reads: files and folders that it
    depends on. makes: the folder that it writes in place of a result.
    """

    name: str
    part: str
    commands: tuple[Words, ...]
    reads: tuple[Path, ...]
    makes: Path | None = None
    split: str = "test"

    @property
    def dataset(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Plan:
    """What a report is made of. home: $LATENTCRS_DATA. bundles: trained already, by data set. settings: laid over
    every preset. llm: judges, hears and plays where a table is about that.
    """

    out: Path
    home: Path | None = None
    bundles: Mapping[str, Path] | None = None
    settings: tuple[str, ...] = ()
    llm: str | None = None

    def steps(self) -> list[Step]:
        """Every step that can be taken here, in the order of what a reader sees first."""
        given = self.bundles or {}
        names = [name for name, source in DATASETS.items() if name in given or self._all(source.raw)]
        names += [name for name in given if name not in DATASETS]
        found = [step for name in names for step in self._of(name)]
        place = PARTS.index
        return sorted(found, key=lambda step: (step.part in LONG, names.index(step.dataset), place(step.part)))

    def _all(self, raw: Sequence[str]) -> bool:
        return self.home is not None and all((self.home / name).exists() for name in raw)

    def _of(self, name: str) -> Iterator[Step]:
        """The steps of one data set."""
        data, bundle = self.out / "data" / name, self.out / "models" / name
        source = DATASETS.get(name, Source((), ()))
        over = tuple(word for setting in self.settings for word in ("--set", setting))

        def of(part: str, *words: object, program: str = PRODUCT, split: str = "test") -> Step:
            command = (program, *map(str, words), "--json")
            return Step(f"{name}/{part}", part, (command,), (bundle, data), split=split)

        if not (self.bundles and name in self.bundles):
            prepare = (PRODUCT, "data", "prepare", *(word.format(self.home) for word in source.prepare))
            raw = tuple(Path(f"{self.home}/{folder}") for folder in source.raw)
            simulate = (PRODUCT, "simulate", str(data))
            yield Step(f"{name}/prepared", "prepared", ((*prepare, "--out", str(data)), simulate), raw, data)
            train = (PRODUCT, "train", str(data), "--out", str(bundle), *over)
            yield Step(f"{name}/trained", "trained", (train,), (data,), bundle, "train, valid")
        yield Step(f"{name}/data", "data", ((PRODUCT, "data", "show", str(data), "--json"),), (data,), split="all")
        people = [each for each in source.people if self._all((REQUESTS[each],))]
        on = [word for each in people for word in ("--on", each)]
        asked = tuple(self.home / REQUESTS[each] for each in people if self.home)
        if people:
            step = of("people", "evaluate", "people", bundle, *on, split="development")
            yield Step(step.name, step.part, step.commands, (*step.reads, *asked), split=step.split)
        yield of("one-turn", "evaluate", "one-turn", bundle)
        talk = ("evaluate", "multi-turn", bundle, "--fresh")
        yield of("multi-turn", *talk, "--variants", TALKING)
        yield of("plot", *talk, "--user", "plot", "--variants", PLOTS)
        yield of("intents", "evaluate", "intents", bundle, split="train")
        if name == FIRST and self._all(("heard",)):
            labelled = Path(f"{self.home}/heard")
            for part, more in {"heard": "", "heard-simulated": "--simulated 1000"}.items():
                command = (PRODUCT, "evaluate", "heard", str(data), *more.split(), "--json")
                yield Step(f"{name}/{part}", "heard", (command,), (data, labelled), split="development")
        yield Step(
            f"{name}/map", "map", ((LAB, "intent-map", str(bundle), "--out", str(self.out / "maps" / name)),),
            (bundle, data), self.out / "maps" / name, "train",
        )  # fmt: skip
        yield of("curves", "curves", bundle, program=LAB)
        for each, (setting, _) in ADDITIONS.items() if name == FIRST and people else ():
            without = self.out / "models" / f"{name}-without-{each}"
            train = (PRODUCT, "train", str(data), "--out", str(without), *over, "--set", setting)
            yield Step(f"{name}/without-{each}", "without", (train,), (data,), without, "train, valid")
            words = (PRODUCT, "evaluate", "people", str(without), *on, "--only", "latentcrs-b", "--json")
            reads = (without, data, *asked)
            yield Step(f"{name}/additions-{each}", "additions", (words,), reads, split="development")
        yield from self._of_the_paper(name, data, over)
        yield of("systems", "evaluate", "one-turn", bundle, "--with", ",".join(TRAINED))
        yield of("systems-talk", *talk, "--variants", f"b,f,{','.join(TRAINED)}")
        if self.llm is not None:
            ask, asking = ("--llm", self.llm), ",".join(ASKED)
            yield of("judged", "evaluate", "one-turn", bundle, "--sample", SAMPLE, "--with", asking, *ask)
            yield of("judged-talk", *talk, "--variants", f"b,f,v,{asking}", "--n", SAMPLE, *ask)
            yield of("played", *talk, "--user", "llm", "--variants", "b,f,text,fusion", "--n", SAMPLE, *ask)
        for each, line in BENCHES.items() if name == FIRST else ():
            typed = line.format(bundle=bundle, dataset=data).split()
            program = PRODUCT if typed[0] in BENCHES_OF_PRODUCT else LAB
            yield Step(f"{name}/bench-{each}", "bench", ((program, "bench", *typed, "--json"),), (bundle, data))
        if name == FIRST and (script := SCRIPTS / "stills.py").is_file():
            stills = self.out / "stills"
            command = (SCRIPT, str(script), str(bundle), str(stills))
            yield Step(f"{name}/stills", "stills", (command,), (bundle, script), stills, "none")

    def _of_the_paper(self, name: str, data: Path, over: Words) -> Iterator[Step]:
        """Table 5 and Figure 3 of the paper: trainings under changed settings."""
        for preset in ("paper", "default"):
            words = (LAB, "ablation", str(data), "--preset", preset, *over, "--json")
            yield Step(f"{name}/ablation-{preset}", "ablation", (words,), (data,))
        words = (LAB, "sensitivity", str(data), *over, "--json")
        yield Step(f"{name}/sensitivity", "sensitivity", (words,), (data,))


PARTS = (
    "prepared", "trained", "people", "one-turn", "multi-turn", "plot", "intents", "heard", "map", "stills", "data",
    "additions", "without", "curves", "systems", "systems-talk", "judged", "judged-talk", "played", "ablation",
    "sensitivity", "bench",
)  # fmt: skip
"""What a reader sees first stands first."""
LONG = PARTS[PARTS.index("additions") :]
"""These come when all else is done for all data sets."""


def chosen(steps: Sequence[Step], only: Sequence[str]) -> list[Step]:
    """The steps that `only` names (parts, data sets or steps; all without any), each behind those that it needs.

    Raises:
        UserError: one of the names is none of them.
    """
    names = {name for step in steps for name in (step.name, step.part, step.dataset)}
    if unknown := [name for name in only if name not in names]:
        parts = ", ".join(dict.fromkeys(step.part for step in steps)) or "none"
        raise UserError(f"--only: there is no part, data set or step {unknown[0]!r} here; the parts are {parts}.")
    makers = {step.makes: step for step in steps if step.makes is not None}
    found: dict[str, Step] = {}

    def take(step: Step) -> None:
        for path in step.reads:
            if path in makers:
                take(makers[path])
        found[step.name] = step

    for step in steps:
        if not only or {step.name, step.part, step.dataset} & set(only):
            take(step)
    return list(found.values())
