"""Trains the heads of `hear` from scratch, and prints what they get right on messages that they were not trained on.

    python -m latentcrs_lab.hear.train data/ml-1m --heard FOLDER

DATASET is MovieLens-1M as `latentcrs data prepare` writes it; FOLDER holds labelled messages of real people (see
`latentcrs evaluate heard`). Without --out nothing is written. Everything is drawn from one seed.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from latentcrs.data import PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.evaluate.heard import KINDS, Tally, evaluate_heard, overlap, read_labels, trade_off
from latentcrs.evaluate.predicates import Predicate, canonical
from latentcrs.hear.assembly import ValueMention
from latentcrs.hear.heads import (
    TURNS,
    VALUE_STANCES,
    Floats,
    Head,
    Read,
    StateEncoder,
    mention_features,
    utterance_features,
)
from latentcrs.hear.hearer import HARD, Hearer
from latentcrs.hear.language import language_of, patterns, tokenise
from latentcrs.hear.reading import ACTS, STANCES
from latentcrs_lab.hear import SETS
from latentcrs_lab.hear.examples import Example, made
from latentcrs_lab.plots import FAINT, figure, save_png

FOLDS = 5
MEASURE_ONLY = frozenset({"opendialkg"})
"""Sources whose terms allow measuring but no weights that were trained on them."""
DRAWS = 4
"""How often every carrier is filled."""
REAL = 5.0
"""How much one message of a real person counts, beside one made of a carrier."""


def save_heads(heads: Mapping[str, Head], path: Path, encoder: str, figures: Mapping[str, str]) -> None:
    """Write the heads as safetensors; encoder: the id of the encoder whose states they read."""
    tensors = {}
    meta = {"encoder": encoder, **figures}
    for name, head in heads.items():
        tensors[f"{name}.weights"] = head.weights.astype(np.float16)
        tensors[f"{name}.bias"] = head.bias.astype(np.float32)
        meta[f"{name}.classes"] = " ".join(head.classes)
        meta[f"{name}.each"] = str(int(head.each))
    save_file(tensors, path, meta)


class LabelledExamples:
    """Examples of labelled messages and dialogues: mentions as the hearer finds them, and what the labels say."""

    def __init__(self, hearer: Hearer) -> None:
        self.hearer, self.columns = hearer, hearer.columns

    def examples(self, lines: Iterable[Mapping[str, Any]]) -> list[Example]:
        """Of lines as `read_labels` gives them, less those that are only for measuring."""
        out: list[Example] = []
        for line in lines:
            if line.get("source") in MEASURE_ONLY:
                continue
            group = line["id"]
            if "turns" not in line:
                reply = line.get("said_before_by_recommender", "")
                out += self._of(line["text"], reply, self._gold(line["rules"]), line, group)
                continue
            reply, before = "", frozenset[tuple[str, Predicate]]()
            asked = False
            for turn in line["turns"]:
                if turn["role"] != "seeker":
                    reply = turn["text"]
                    continue
                force = turn["in_force"]
                now = self._gold(force["rules"], "rule") | self._gold(force["wishes"], "wish")
                out += self._of(turn["text"], reply, now - before, turn, group, now)
                if asked or turn["act"] == "request":
                    said = "turns" if turn["reset"] or (not asked and turn["act"] == "request") else "continues"
                    out.append(Example("turn", turn["text"], 0, 0, (said,), "", group, REAL))
                asked = asked or bool(now or force["needs"])
                before = now
        return out

    def utterances(self) -> list[Example]:
        """Of the package's labelled set: what is refused, taken back, only spoken of, or asked for without liking."""
        out: list[Example] = []
        liking = re.compile(r"\b(?:like|love|enjoy|fan|favou?rite|prefer|into)\b", re.IGNORECASE)
        for said in read_labels(SETS["movies"]):
            for example in self._mentions(said["text"], self._gold(said["rules"]), frozenset(), ""):
                if example.said[0] in ("rule", "wish") and liking.search(said["text"]):
                    continue
                out.append(example)
        return out

    def _gold(self, rules: Iterable[Mapping[str, Any]], kind: str = "") -> frozenset[tuple[str, Predicate]]:
        found: set[tuple[str, Predicate]] = set()
        for label in rules:
            rule = Rule(column=label["column"], op=label["op"], value=label["value"])
            found |= {(KINDS[label.get("kind", kind)], p) for p in canonical(rule, self.columns)}
        return frozenset(found)

    def _of(
        self, text: str, reply: str, gold: frozenset[tuple[str, Predicate]], label: Mapping[str, Any], group: str,
        force: frozenset[tuple[str, Predicate]] = frozenset(),
    ) -> list[Example]:  # fmt: skip
        out = self._mentions(text, gold, force, group)
        line = tokenise(text)
        acts = {label["act"], *also_done(text, label, gold)}
        named: set[int] = set()
        pointed = list[str]()
        for mention in label.get("mentions", ()):
            stance = mention["stance"]
            bare = re.sub(r"\s*\(\d{4}\)\s*$", "", mention["title"])
            place = text.lower().find(bare.lower())
            if place < 0:
                pointed.append(stance)
                continue
            inside = [n for n, t in enumerate(line.tokens) if place <= t.start and t.end <= place + len(bare)]
            if inside:
                named |= set(inside)
                out.append(Example("title", text, inside[0], inside[-1] + 1, (stance,), reply, group, REAL))
        if len(set(pointed)) == 1:
            spans = [line.span(match) for name, pattern in patterns("en", "pointing") if name in ("it", "all")
                     for match in pattern.finditer(line.line)]  # fmt: skip
            for first, last in spans[:1]:
                if not named & set(range(first, last)):
                    out.append(Example("title", text, first, last, (pointed[0],), reply, group, REAL / 2))
        out.append(Example("act", text, 0, 0, tuple(sorted(acts)), reply, group, REAL))
        return out

    def _mentions(
        self, text: str, gold: frozenset[tuple[str, Predicate]], force: frozenset[tuple[str, Predicate]], group: str
    ) -> list[Example]:
        line, language = tokenise(text), language_of(text)
        taken = [False] * len(line.tokens)
        for mention in self.hearer.finder.find(text):
            for n, t in enumerate(line.tokens):
                taken[n] |= mention.start <= t.start and t.end <= mention.end
        out = []
        for one in self.hearer.values.find(line, language, taken):
            said = self._meant(one, gold)
            if said == "mentioned" and (again := self._meant(one, force)) != "mentioned":
                # It is in force already; whether it is meant again or only spoken of, the labels do not tell.
                if again == "refused":
                    out.append(Example("stance", text, one.first, one.last, (again,), "", group, REAL))
                continue
            out.append(Example("stance", text, one.first, one.last, (said,), "", group, REAL))
        return out

    def _meant(self, one: ValueMention, gold: frozenset[tuple[str, Predicate]]) -> str:
        for rule in one.rules:
            for predicate in canonical(rule, self.columns):
                for kind, labelled in gold:
                    if overlap(predicate, labelled):
                        refused = (labelled.test == "not") != one.opposite
                        return "refused" if refused and kind != "dropped" else kind
        return "mentioned"


_DOES = {"accepted": "accept", "rejected": "reject", "asked_about": "question", "seen": "seen"}
_LEAVING = re.compile(r"\b(?:thanks?|thank you|bye|goodbye|take care)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:any|some|one|what) (?:other|more|else)|\banother|\banything else", re.IGNORECASE)


def also_done(text: str, label: Mapping[str, Any], gold: Iterable[tuple[str, Predicate]]) -> set[str]:
    """What a message does beside its one labelled act, by what else is labelled of it: an answer that asks for
    something is a request too.
    """
    acts: set[str] = set()
    for mention in label.get("mentions", ()):
        stance = mention["stance"]
        if stance in _DOES:
            acts.add(_DOES[stance])
        elif stance in ("liked", "disliked") and re.sub(r"\s*\(.*", "", mention["title"]).lower() not in text.lower():
            acts.add("seen")
        elif stance == "wants_similar":
            acts.add("request")
        else:
            acts.add("inform")
    acts |= {"request" if kind == "rule" else "inform" for kind, _ in gold if kind != "dropped"}
    if _LEAVING.search(text):
        acts.add("thanks")
    if _MORE.search(text):
        acts.add("more")
    return acts


class Trainer:
    """Reads every text once, and fits heads over any part of the examples."""

    def __init__(self, encoder: StateEncoder, examples: Sequence[Example]) -> None:
        self.examples = list(examples)
        texts = list(dict.fromkeys([e.text for e in examples] + [e.reply[-300:] for e in examples if e.reply]))
        read = {text: Read.of(text, states) for text, states in zip(texts, encoder.states(texts), strict=True)}
        self.features: dict[str, Floats] = {}
        self.of: dict[str, list[Example]] = {}
        for head in ("stance", "title", "act", "turn"):
            self.of[head] = [e for e in self.examples if e.head == head]
            rows = []
            for e in self.of[head]:
                one = read[e.text]
                if head in ("stance", "title"):
                    rows.append(mention_features(one, e.first, e.last, language_of(e.text)))
                else:
                    said_before = (
                        read[e.reply[-300:]].vector if e.reply and head == "act" else np.zeros_like(one.vector)
                    )
                    rows.append(utterance_features(one, said_before))
            self.features[head] = np.stack(rows).astype(np.float32)

    def heads(self, without: int | None = None) -> dict[str, Head]:
        """The heads, fitted without the messages of one fold."""
        classes = {"stance": VALUE_STANCES, "title": STANCES, "act": ACTS, "turn": TURNS}
        return {head: self._fit(head, classes[head], without) for head in classes}

    def _fit(self, head: str, classes: Sequence[str], without: int | None) -> Head:
        kept = [
            n for n, e in enumerate(self.of[head]) if without is None or not e.group or fold_of(e.group) != without
        ]
        X = self.features[head][kept]
        Y = np.zeros((len(kept), len(classes)), np.float32)
        for row, n in enumerate(kept):
            for said in self.of[head][n].said:
                Y[row, classes.index(said)] = 1
        w = np.array([self.of[head][n].weight for n in kept], np.float32)
        return fitted(X, Y, w, tuple(classes), head == "act", DECAY[head])


DECAY = {"stance": 0.02, "title": 0.02, "act": 0.02, "turn": 0.05}


def fitted(X: Floats, Y: Floats, w: Floats, classes: tuple[str, ...], each: bool, decay: float) -> Head:
    """Logistic regression, X (n, d), Y (n, classes), w (n,): decay is the weight of the squared norm beside the mean
    loss,
    over standardised features.
    """
    mean, scale = X.mean(0), X.std(0) + 1e-3
    x, y, weight = torch.from_numpy((X - mean) / scale), torch.from_numpy(Y), torch.from_numpy(w / w.sum())
    W = torch.zeros(len(classes), X.shape[1], requires_grad=True)
    b = torch.zeros(len(classes), requires_grad=True)
    optimiser = torch.optim.LBFGS([W, b], max_iter=60, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scores = x @ W.T + b
        if each:
            losses = torch.nn.functional.binary_cross_entropy_with_logits(scores, y, reduction="none").sum(1)
        else:
            losses = -(torch.log_softmax(scores, 1) * y).sum(1)
        total = (losses * weight).sum() + decay * (W**2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    weights = (W.detach().numpy() / scale).astype(np.float32)
    return Head(classes, weights, (b.detach().numpy() - weights @ mean).astype(np.float32), each)


def fold_of(group: str) -> int:
    """The fold of a message or dialogue, by its id."""
    return int(md5(group.encode()).hexdigest(), 16) % FOLDS


def out_of_fold(
    trainer: Trainer, hearer: Hearer, lines: Sequence[dict[str, Any]], folds: Sequence[Mapping[str, Head]]
) -> Tally:
    """`evaluate_heard` over lines, each heard by heads that were trained without its fold."""
    total = Tally()
    for fold, heads in enumerate(folds):
        hearer.use(heads)
        part = [line for line in lines if fold_of(line["id"]) == fold]
        if part:
            total = total + evaluate_heard(hearer, hearer.items, hearer.columns, part)
    return total


def plot_calibration(trainer: Trainer, folds: Sequence[Mapping[str, Head]], path: Path) -> None:
    """Write a picture of how often what real people name is asked for, by the probability that the heads give it
    where they were not trained on it, and how many mentions lie where.
    """
    rows = [n for n, example in enumerate(trainer.of["stance"]) if example.group]
    X, examples = trainer.features["stance"], trainer.of["stance"]
    p = np.array([folds[fold_of(examples[n].group)]["stance"](X[n])["rule"] for n in rows])
    asked = np.array([examples[n].said[0] == "rule" for n in rows])
    bins = np.minimum((p * 10).astype(int), 9)
    counts = np.bincount(bins, minlength=10)
    held = counts > 0
    picture, axes = figure(400, 500)
    axes.bar(
        (np.arange(10) + 0.5) / 10, counts / counts.sum(), width=0.09, color="#cbd5e1", label="share of mentions"
    )
    axes.plot([0, 1], [0, 1], "--", color=FAINT, lw=1)
    found = np.bincount(bins, asked, 10)[held] / counts[held]
    means = np.bincount(bins, p, 10)[held] / counts[held]
    axes.plot(means, found, "o-", color="#0f766e", label="asked for")
    axes.axvline(HARD, color="#b45309", lw=1, label=f"filters from here ({HARD:g})")
    axes.set(xlabel="probability that it is asked for", ylabel="share", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    picture.tight_layout()
    save_png(picture, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, and write with --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--heard", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path, help="a picture of the calibration")
    parser.add_argument("--errors", action="store_true")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    prepared = PreparedDataset(options.dataset)
    hearer = Hearer(prepared.items, prepared.info.columns)
    files = {
        path.name: read_labels(path) for path in sorted(options.heard.glob("*.jsonl")) if "shop" not in path.name
    }
    labelled = LabelledExamples(hearer)
    # The carriers filled several times: how the words fall changes figures by more than most ideas do.
    drawn = [replace(example, weight=example.weight / DRAWS) for seed in range(DRAWS) for example in made(seed)]
    examples = drawn + labelled.utterances()
    for lines in files.values():
        examples += labelled.examples(lines)
    for head in ("stance", "title", "act", "turn"):
        print(head, dict(Counter(said for e in examples if e.head == head for said in e.said)))
    trainer = Trainer(hearer.encoder, examples)
    folds = [trainer.heads(without=fold) for fold in range(FOLDS)]
    for name, lines in files.items():
        tally = out_of_fold(trainer, hearer, lines, folds)
        print(name, json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in tally.figures.items()}))
        if options.errors:
            for head, pairs in tally.confused.items():
                print(head, sorted(pairs.items(), key=lambda p: -p[1]))
            for id, text, missing, extra in tally.mistakes:
                print(f"{id}  {text}\n    missing: {missing}   extra: {extra}")
        if not any("turns" in line for line in lines):
            for row in trade_off(hearer, partial(out_of_fold, trainer, hearer, lines, folds)):
                print(name, json.dumps(row))
    if options.plot:
        plot_calibration(trainer, folds, options.plot)
    if options.out:
        save_heads(trainer.heads(), options.out, hearer.encoder.id, {})  # type: ignore[attr-defined]
        print(f"written to {options.out}")


if __name__ == "__main__":
    main()
