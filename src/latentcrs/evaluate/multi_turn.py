"""Multi-turn evaluation: simulated users talk with each system, five turns at most (LatentCRS, 5.1 and 5.4)."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.files import atomic_file
from latentcrs.base.progress import Step, step
from latentcrs.data import PreparedDataset
from latentcrs.data.request_rows import request_rows
from latentcrs.evaluate.intervals import means_of, paired_p_value
from latentcrs.fit.training import fingerprint, work_folder
from latentcrs.systems.open import Conversationalist
from latentcrs.text.cost import duration
from latentcrs.users.dialogue import SimulatedUser, dialogues_of

TURNS = 5
"""Turns of a conversation (section 5.5); the target not shown by then is a failure."""
SAMPLE = 500
"""Conversations where a language model is asked (section 5.2)."""
METRICS = ("s@1", "s@3", "s@5", "at")
"""S@K: the share of users who were shown their item within K turns. AT: turns it took, a failure counted as six."""
TIERS = ("head", "middle", "tail")
_TOGETHER, _TOGETHER_ASKED = 256, 4
"""Conversations that go on side by side, and that are lost where a run is interrupted: few where a model is asked."""


@dataclass(frozen=True)
class Group:
    """Some conversations of one system: how many, and the means of `METRICS`."""

    n: int
    means: dict[str, float]
    ci95: dict[str, tuple[float, float]]
    turns_of_successes: float  # AT over the successes alone; NaN without any


@dataclass(frozen=True)
class SystemTalks:
    """One system's conversations."""

    all: Group
    personas: dict[str, Group]
    tiers: dict[str, Group]  # by how popular the target is
    tokens: tuple[float, float]  # input and output, a mean per turn
    milliseconds: float  # mean of a turn: hearing, ranking and answering, the simulated user left out
    shown_by: list[float]  # the share of users who were shown their item by turn 1, 2, ... 5
    leaks: int  # sentences of the user that gave the target away, and were said otherwise or masked
    outcomes: NDArray[np.int64] = field(repr=False)  # (n,) the turn that showed the target, 0 for none


@dataclass(frozen=True)
class MultiTurnResult:
    """Every system in conversation with the same users."""

    dataset: str
    split: str
    user: str
    n: int
    systems: dict[str, SystemTalks]
    comparisons: list[dict[str, Any]]  # ours, theirs, metric, difference, p
    about: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        systems = {name: asdict(found) for name, found in self.systems.items()}
        for found in systems.values():
            del found["outcomes"]
        kept = {name: value for name, value in self.__dict__.items() if name != "systems"}
        return {**kept, "systems": systems}


def talk_rows(dataset: PreparedDataset, split: str = "test", n: int | None = None, seed: int = 0) -> pl.DataFrame:
    """Who talks: user, cut, target (dense numbers) of the split's held-out items, all or `n` drawn with `seed`."""
    rows = request_rows(dataset, augmentations=0).filter(pl.col("split") == split).drop("split")
    if n is not None and n < len(rows):
        rows = rows[np.sort(np.random.default_rng(seed).choice(len(rows), n, replace=False))]
    return rows


def evaluate_multi_turn(
    dataset: PreparedDataset,
    bundle_mark: str,
    systems: Sequence[Conversationalist],
    user: SimulatedUser,
    rows: pl.DataFrame,
    split: str = "test",
    asks_model: bool = False,
    fresh: bool = False,
    about: dict[str, Any] | None = None,
    transcripts: Path | None = None,
) -> MultiTurnResult:
    """Let every system talk with `user` as each of `rows` (see `talk_rows`).

    Finished conversations are kept, so the same call again goes on where it stopped; `fresh` forgets them.
    bundle_mark: names the trained model among those. asks_model: a language model is called, so conversations are
    kept a few at a time. transcripts: a JSONL file that gets every conversation.
    """
    found, talks = {}, []
    tiers = tiers_of(dataset)[rows["target"].to_numpy()]
    for system in systems:
        mark = fingerprint("multi-turn", bundle_mark, dataset.info.checksums["items.parquet"], user.name, system.name)
        folder = work_folder() / f"talks-{mark}"
        outcomes = _talks(dataset, system, user, rows, folder, _TOGETHER_ASKED if asks_model else _TOGETHER, fresh)
        found[system.name] = _figures(outcomes, tiers)
        talks.append(outcomes.with_columns(system=pl.lit(system.name)))
    if transcripts is not None:
        _write_transcripts(pl.concat(talks), dataset, transcripts)
    sampled = None if len(rows) >= dataset.info.users else dataset.user_ids[rows["user"]].to_list()
    return MultiTurnResult(
        dataset=dataset.info.name,
        split=split,
        user=user.name,
        n=len(rows),
        systems=found,
        comparisons=_comparisons(found),
        about={**(about or {}), "sampled_users": sampled},
    )


def tiers_of(dataset: PreparedDataset) -> NDArray[np.str_]:
    """How popular each item is, (n,) of `TIERS`, each with a third of all choices in training."""
    counts = dataset.training_counts.astype(np.int64)
    order = np.argsort(-counts, kind="stable")
    share = (np.cumsum(counts[order]) - counts[order]) / max(counts.sum(), 1)
    tiers = np.empty(len(counts), dtype="<U6")
    tiers[order] = np.array(TIERS)[np.minimum((share * 3).astype(int), 2)]
    return tiers


# Talking.


def _talks(
    dataset: PreparedDataset,
    system: Conversationalist,
    user: SimulatedUser,
    rows: pl.DataFrame,
    folder: Path,
    together: int,
    fresh: bool,
) -> pl.DataFrame:
    """One row per conversation, in the order of `rows`; those of earlier runs are read."""
    if fresh:
        for path in folder.glob("*.parquet"):
            path.unlink()
    kept = [pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    before = pl.concat(kept).unique(["user", "cut"]) if kept else None
    left = rows if before is None else rows.join(before.select("user", "cut"), on=["user", "cut"], how="anti")
    parts = [] if before is None else [before.join(rows.select("user", "cut"), on=["user", "cut"], how="semi")]
    with step(f"{system.name} talks with {user.name}", total=len(rows)) as bar:
        bar.advance(len(rows) - len(left))
        running = _Running(bar, len(left))
        for start in range(0, len(left), together):
            part = _talk(dataset, system, user, left[start : start + together], running)
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(folder / f"{time.time_ns()}.parquet") as path:
                part.write_parquet(path)
            parts.append(part)
            bar.advance(len(part))
        talks = rows.join(pl.concat(parts), on=["user", "cut", "target"], how="left", maintain_order="left")
        shown = int((talks["outcome"] > 0).sum())
        bar.note(f"S@5 {shown / len(talks):.3f}, {int(talks['turns'].sum()):,} turns")
    return talks


class _Running:
    """The words beside the bar: turns, success so far, tokens, and what is left of time and tokens."""

    def __init__(self, bar: Step, left: int) -> None:
        self.bar, self.left, self.began = bar, left, time.perf_counter()
        self.turns = self.done = self.successes = self.tokens = 0

    def turn(self, talking: int) -> None:
        self.turns += talking
        words = [f"{self.turns:,} turns"]
        if self.done:
            words.append(f"S@5 {self.successes / self.done:.3f}")
            share = (self.left - self.done) / self.done
            if self.tokens:
                words.append(f"{self.tokens:,} tokens, about {self.tokens * share:,.0f} to come")
            words.append(f"{duration((time.perf_counter() - self.began) * share)} left")
        self.bar.note(", ".join(words))

    def finished(self, outcomes: Sequence[int], tokens: int) -> None:
        self.done += len(outcomes)
        self.successes += sum(outcome > 0 for outcome in outcomes)
        self.tokens += tokens


def _talk(
    dataset: PreparedDataset, system: Conversationalist, user: SimulatedUser, rows: pl.DataFrame, running: _Running
) -> pl.DataFrame:
    """Conversations side by side, turn by turn, each until its target is shown."""
    dialogues = dialogues_of(dataset, rows)
    outcomes = dict.fromkeys(range(len(dialogues)), 0)
    seconds = np.zeros(len(dialogues))
    talking = list(range(len(dialogues)))
    system.meet(dialogues)
    for turn in range(1, TURNS + 1):
        now = [dialogues[place] for place in talking]
        user.speak(now)
        began = time.perf_counter()
        answers = system.reply(now)
        seconds[talking] += (time.perf_counter() - began) / len(now)
        for place, dialogue, answer in zip(talking, now, answers, strict=True):
            dialogue.shown.append(answer)
            if dialogue.target in answer.items:
                outcomes[place] = turn
        running.turn(len(now))
        talking = [place for place in talking if not outcomes[place]]
        if not talking:
            break
    taken = [system.tokens(dialogue) for dialogue in dialogues]
    running.finished(list(outcomes.values()), sum(map(sum, taken)))
    return rows.select("user", "cut", "target").with_columns(
        outcome=pl.Series(list(outcomes.values()), dtype=pl.Int64),
        turns=pl.Series([len(dialogue.said) for dialogue in dialogues], dtype=pl.Int64),
        persona=pl.Series([dialogue.persona for dialogue in dialogues]),
        leaks=pl.Series([dialogue.leaks for dialogue in dialogues], dtype=pl.Int64),
        input_tokens=pl.Series([input for input, _ in taken], dtype=pl.Int64),
        output_tokens=pl.Series([output for _, output in taken], dtype=pl.Int64),
        milliseconds=pl.Series(seconds * 1000),
        said=pl.Series([dialogue.said for dialogue in dialogues], dtype=pl.List(pl.String)),
        shown=pl.Series(
            [[list(answer.items) for answer in dialogue.shown] for dialogue in dialogues],
            dtype=pl.List(pl.List(pl.Int64)),
        ),
    )


# Figures.


def per_talk(outcomes: NDArray[np.int64]) -> NDArray[np.float64]:
    """`METRICS` of each conversation, (n, 4), from the turn that showed the target (0: none)."""
    found = outcomes > 0
    within = [(found & (outcomes <= turns)).astype(np.float64) for turns in (1, 3, 5)]
    return np.stack([*within, np.where(found, outcomes, TURNS + 1).astype(np.float64)], 1)


def _group(outcomes: NDArray[np.int64]) -> Group:
    means, ci95 = means_of(METRICS, per_talk(outcomes))
    found = outcomes[outcomes > 0]
    return Group(len(outcomes), means, ci95, float(found.mean()) if len(found) else float("nan"))


def _figures(talks: pl.DataFrame, tiers: NDArray[np.str_]) -> SystemTalks:
    outcomes = talks["outcome"].to_numpy()
    personas = talks["persona"].to_numpy()

    def by(labels: NDArray[Any], names: Sequence[str]) -> dict[str, Group]:
        return {name: _group(outcomes[labels == name]) for name in names if (labels == name).any()}

    turns = max(int(talks["turns"].sum()), 1)
    taken, given, milliseconds = (
        float(talks[name].sum()) / turns for name in ("input_tokens", "output_tokens", "milliseconds")
    )
    return SystemTalks(
        all=_group(outcomes),
        personas=by(personas, sorted({name for name in personas.tolist() if name})),
        tiers=by(tiers, TIERS),
        tokens=(taken, given),
        milliseconds=milliseconds,
        shown_by=[float(((outcomes > 0) & (outcomes <= turn)).mean()) for turn in range(1, TURNS + 1)],
        leaks=int(talks["leaks"].sum()),
        outcomes=outcomes,
    )


def _comparisons(systems: dict[str, SystemTalks]) -> list[dict[str, Any]]:
    """Paired tests: F against B, V against F; B against the best reference, and what hears rules against the best
    reference that does, if there is one. With BM25 beside them, B against the fusion.
    """
    ours = [name for name in systems if name.startswith("latentcrs")]
    others = [name for name in systems if name not in ours]
    plain = [name for name in others if not name.endswith("-f")]
    ruled = [name for name in others if name.endswith("-f")]
    chain = [("latentcrs-f", "latentcrs-b"), ("latentcrs-v", "latentcrs-f"), ("latentcrs-b", "bm25-fusion")]
    found = []
    for metric in ("s@3", "s@5", "at"):
        means = {name: talks.all.means[metric] for name, talks in systems.items()}
        pairs = [pair for pair in chain if set(pair) <= set(systems)]
        for name in ours:
            against = plain if name.startswith("latentcrs-b") else ruled or plain
            if against:
                pairs.append((name, (min if metric == "at" else max)(against, key=means.__getitem__)))
        for one, other in pairs:
            a, b = (per_talk(systems[name].outcomes)[:, METRICS.index(metric)] for name in (one, other))
            row = {"ours": one, "theirs": other, "metric": metric, "difference": float((a - b).mean())}
            found.append({**row, "p": paired_p_value(a, b)})
    return found


def _write_transcripts(talks: pl.DataFrame, dataset: PreparedDataset, path: Path) -> None:
    titles, users = dataset.items["title"].to_list(), dataset.user_ids
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in talks.iter_rows(named=True):
            turns = [
                {"user": said, "shown": [titles[number] for number in shown]}
                for said, shown in zip(row["said"], row["shown"], strict=True)
            ]
            line = {
                "system": row["system"],
                "user_id": users[row["user"]],
                "persona": row["persona"],
                "target": titles[row["target"]],
                "shown_in_turn": row["outcome"] or None,
                "turns": turns,
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
