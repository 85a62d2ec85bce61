"""Claims about multi-turn evaluation: the conversations are real ones, the figures are what they say, runs go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.base.errors import UserError
from latentcrs.converse.conversation import Conversation
from latentcrs.data import PreparedDataset
from latentcrs.evaluate.conversing import BundleDialogues, recommender_of
from latentcrs.evaluate.multi_turn import (
    MultiTurnResult,
    evaluate_multi_turn,
    per_talk,
    talk_rows,
    tiers_of,
)
from latentcrs.evaluate.one_turn import RequestSet
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.evaluate.talks import REFERENCES, RULED, VARIANTS, multi_turn
from latentcrs.hear import Hearer
from latentcrs.store.session import Session
from latentcrs.text import embed
from latentcrs.users.dialogue import Dialogue, SystemTurn, dialogues_of
from latentcrs.users.open import open_user

SOME = 40


@pytest.fixture(autouse=True)
def _own_cache(small_movielens_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))  # for embeddings
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path / "work"))


@pytest.fixture(scope="module")
def opened(bundle: Path, small_movielens_cache: Path) -> EvaluationBundle:
    return EvaluationBundle(bundle, device="cpu")


class Told:
    """A user who always says the same, and a system that shows the target in a set turn, or never."""

    name = "told"

    def __init__(self, dataset: PreparedDataset, turns: dict[int, int]) -> None:
        self.dataset, self.turns, self.met, self.answered = dataset, turns, 0, 0

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        for dialogue in dialogues:
            dialogue.persona = "brief"
            dialogue.said.append("please")

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        self.met += len(dialogues)

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        self.answered += len(dialogues)
        return [
            SystemTurn(
                (dialogue.target if len(dialogue.said) == self.turns.get(dialogue.user) else dialogue.target - 1,)
            )
            for dialogue in dialogues
        ]

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        return 10 * len(dialogue.said), len(dialogue.said)


def run(dataset: PreparedDataset, told: Told, rows: pl.DataFrame, fresh: bool = False) -> MultiTurnResult:
    return evaluate_multi_turn(dataset, "mark", [told], told, rows, fresh=fresh)


def test_the_figures_are_counts_of_the_turn_in_which_the_target_was_shown(opened: EvaluationBundle) -> None:
    rows = talk_rows(opened.dataset, n=4)
    users = rows["user"].to_list()
    told = Told(opened.dataset, {users[0]: 1, users[1]: 3, users[2]: 5})  # and the fourth never
    talks = run(opened.dataset, told, rows).systems["told"]
    assert talks.outcomes.tolist() == [1, 3, 5, 0]
    assert talks.all.means == pytest.approx({"s@1": 0.25, "s@3": 0.5, "s@5": 0.75, "at": (1 + 3 + 5 + 6) / 4})
    assert talks.all.turns_of_successes == pytest.approx(3)
    assert talks.shown_by == pytest.approx([0.25, 0.25, 0.5, 0.5, 0.75])
    assert talks.tokens == (10, 1)  # per turn
    assert sum(group.n for group in talks.tiers.values()) == talks.personas["brief"].n == 4


def test_nobody_goes_on_talking_who_was_shown_the_item(opened: EvaluationBundle) -> None:
    rows = talk_rows(opened.dataset, n=3)
    told = Told(opened.dataset, dict.fromkeys(rows["user"].to_list(), 2))
    run(opened.dataset, told, rows)
    assert told.answered == 6


def test_a_run_goes_on_where_it_stopped_and_fresh_forgets(opened: EvaluationBundle) -> None:
    rows = talk_rows(opened.dataset, n=6)
    turns = dict.fromkeys(rows["user"].to_list(), 1)
    first = Told(opened.dataset, turns)
    run(opened.dataset, first, rows[:2])
    second = Told(opened.dataset, turns)
    whole = run(opened.dataset, second, rows)
    assert (first.met, second.met) == (2, 4)
    assert whole.n == 6 and whole.systems["told"].all.n == 6
    third = Told(opened.dataset, {})
    assert run(opened.dataset, third, rows, fresh=True).systems["told"].all.means["s@5"] == 0
    assert third.met == 6


def test_a_system_is_talked_with_as_a_person_talks_with_it(
    opened: EvaluationBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What thousands of conversations at once are shown is what one conversation alone is shown."""
    rows = talk_rows(opened.dataset, n=SOME)
    recommender = recommender_of(opened, "latentcrs")
    extractor = Hearer(opened.bundle.items, opened.bundle.columns)
    user = open_user("attributes", opened.dataset)
    dialogues = dialogues_of(opened.dataset, rows)
    system = BundleDialogues("f", recommender, extractor, "f")
    system.meet(dialogues)
    for _ in range(3):
        user.speak(dialogues)
        for dialogue, shown in zip(dialogues, system.reply(dialogues), strict=True):
            dialogue.shown.append(shown)
    # A person's words are never kept on disk, which rounds embeddings: here they are, so that only batching differs.
    monkeypatch.setattr(recommender, "embed", lambda words: embed([words], opened.encoder) if words.strip() else None)
    ids, same, listed = opened.bundle.items["item_id"].to_list(), 0, 0
    for dialogue in dialogues:
        alone = Conversation(recommender, extractor, Session(history=[ids[n] for n in dialogue.history.tolist()]))
        for said, shown in zip(dialogue.said, dialogue.shown, strict=True):
            answer = [item.item_id for item in alone.reply(said).items]
            same += answer == [ids[number] for number in shown.items]
            listed += 1
    assert same >= 0.98 * listed  # two scores that are equal but for rounding may change places
    assert all(len(shown.items) <= 5 for dialogue in dialogues for shown in dialogue.shown)
    assert not any(set(shown.items) & set(d.history.tolist()) for d in dialogues for shown in d.shown)


def test_every_reference_ranks_as_in_one_turn(opened: EvaluationBundle) -> None:
    """The items that a reference shows first are the top of its one-turn scores, less the history."""
    requests = opened.dataset.requests.filter(pl.col("split") == "test")[:SOME]
    asked = RequestSet(opened, requests)
    pasts = [asked.histories[slice(row, row + 1)].pairs()[1] for row in range(SOME)]
    X = embed(asked.texts, opened.encoder)
    for name in ("popularity", "behaviour", "text", "sum"):
        queries = recommender_of(opened, name).read_many(pasts, asked.texts, X)
        scores = asked.scores()[name]()(slice(0, SOME)).cpu().numpy()
        ours = np.stack([query.scores() for query in queries])
        top = [np.argsort(-row, kind="stable")[:10] for row in scores]
        reached = [np.sort(row)[-10:].min() - 1e-4 * np.ptp(row) for row in ours]
        assert all((row[best] >= low).all() for row, best, low in zip(ours, top, reached, strict=True)), name


def test_tiers_each_have_a_third_of_the_choices(opened: EvaluationBundle) -> None:
    counts, tiers = opened.dataset.training_counts, tiers_of(opened.dataset)
    shares = [counts[tiers == tier].sum() / counts.sum() for tier in ("head", "middle", "tail")]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)
    assert counts[tiers == "head"].min() >= counts[tiers == "middle"].max()


def test_a_failure_counts_as_six_turns() -> None:
    assert per_talk(np.array([0, 1, 5])).tolist() == [[0, 0, 0, 6], [1, 1, 1, 1], [0, 0, 1, 5]]


@pytest.mark.usefixtures("brief_paper")
def test_conversations_with_real_systems_end_with_figures_and_transcripts(bundle: Path, tmp_path: Path) -> None:
    written = tmp_path / "talks.jsonl"
    result = multi_turn(bundle, ("b", "f", "f-paper", "text", "fusion-f"), n=30, device="cpu", transcripts=written)
    assert list(result.systems) == ["latentcrs-b", "latentcrs-f", "latentcrs-f-paper", "text", "fusion-f"]
    assert result.about["sampled_users"] and len(result.about["sampled_users"]) == result.n == 30
    assert result.systems["latentcrs-f"].all.means["s@5"] > result.systems["text"].all.means["s@5"]
    json.dumps(result.as_json())
    lines = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    assert len(lines) == 5 * 30
    for line in lines:
        found = [turn for turn, each in enumerate(line["turns"], 1) if line["target"] in each["shown"]]
        assert line["shown_in_turn"] == (found[0] if found else None)
        assert not found or found == [len(line["turns"])]


def test_what_does_not_exist_is_refused_by_name(bundle: Path) -> None:
    for arguments, words in (
        ({"variants": ("b", "x")}, "no system 'x'"),
        ({"user": "nobody"}, "no simulated user 'nobody'"),
        ({"variants": ("v",)}, "need"),
        ({"split": "train"}, "--split train"),
    ):
        with pytest.raises(UserError, match=words):
            multi_turn(bundle, **arguments)  # type: ignore[arg-type]
    assert not {*VARIANTS} & {*REFERENCES, *RULED}
