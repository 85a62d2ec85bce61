"""Claims about Chat-Rec: the candidates are the recommender's, the order is the model's, new ones come when asked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from prompted_stubs import Scripted, answered, by_behaviour, dialogue, opened, requests_of, titles

from failing_endpoint import ANSWERED, failing_endpoint
from latentcrs.data.ranking import ranks_of_scores
from latentcrs.evaluate.multi_turn import evaluate_multi_turn, talk_rows
from latentcrs.llm import ModelError
from latentcrs.llm.openai_model import OpenAIModel
from latentcrs.recommend import Recommender
from latentcrs.users.dialogue import Dialogue
from latentcrs.users.open import open_user
from latentcrs_lab.systems.chat_rec import CANDIDATES, NEAR, ChatRec

NO = {"refresh": False, "look_for": ""}


def candidates_in(prompt: str) -> list[str]:
    """The candidates that a ranking prompt lists, as "title (year)"."""
    listed = prompt.split("=== candidates\n")[1]
    return [re.sub(r"^\d+\. (.*?) \| (\d{4}) \|.*$", r"\1 (\2)", line) for line in listed.splitlines()[:-1]]


def picks(*places: int, why: str = "Because.") -> dict[str, object]:
    return {"ranking": list(places), "why": why}


def test_the_model_picks_among_the_best_by_behaviour(small_movielens: Path, recommender: Recommender) -> None:
    model = Scripted({"chat-rec": picks(7, 3, 7, 1, why="You like heists.")})
    system = opened(ChatRec, small_movielens, recommender, model)
    talk = dialogue(system, "something with a heist")
    best = by_behaviour(system, talk)[:CANDIDATES]
    assert answered(system, talk) == [best[6], best[2], best[0], best[1], best[3]]  # padded in the candidates' order
    (prompt,) = model.prompts("chat-rec")
    assert candidates_in(prompt) == titles(system, best)
    assert "the person: something with a heist" in prompt and system.words(talk) == "You like heists."
    report = system.report()
    assert (report["picked"], report["repeated"], report["reordered"], report["calls"]) == (3, 1, 1, 1)


def test_a_model_that_fails_leaves_the_recommenders_order(small_movielens: Path, recommender: Recommender) -> None:
    failed = ModelError("server error", "down")
    system = opened(ChatRec, small_movielens, recommender, Scripted({"chat-rec": failed, "chat-rec refresh": failed}))
    talk = dialogue(system, "anything")
    best = by_behaviour(system, talk)
    assert answered(system, talk, "no") + answered(system, talk) == best[:10]
    report = system.report()
    assert (report["calls"], report["failed_calls"], report["failed: server error"]) == (3, 3, 3)
    assert (report["reordered"], report["refreshed"]) == (0, 0)


def test_a_later_turn_keeps_what_is_left_or_has_others_found(small_movielens: Path, recommender: Recommender) -> None:
    model = Scripted({"chat-rec": picks(1, 2, 3, 4, 5), "chat-rec refresh": NO})
    system = opened(ChatRec, small_movielens, recommender, model)
    talk = dialogue(system, "anything")
    best = titles(system, by_behaviour(system, talk))
    for _ in range(3):
        answered(system, talk, "no")
    assert candidates_in(model.prompts("chat-rec")[2]) == best[10:20]  # twice kept
    model.says["chat-rec refresh"] = {"refresh": True, "look_for": ""}
    answered(system, talk, "no")
    assert candidates_in(model.prompts("chat-rec")[3]) == best[15:35]
    asked = model.prompts("chat-rec refresh")
    assert f"=== candidates left\n- {best[15]}\n" in asked[2] and best[4] not in asked[2].split("=== candidates")[1]
    assert system.report()["refreshed"] == pytest.approx(1 / 3, abs=1e-4) and system.report()["searched"] == 0


def test_the_recommender_is_called_when_too_few_are_left(small_movielens: Path, recommender: Recommender) -> None:
    model = Scripted({"chat-rec": picks(1, 2, 3, 4, 5), "chat-rec refresh": NO})
    system = opened(ChatRec, small_movielens, recommender, model)
    talk = dialogue(system, "anything")
    best = by_behaviour(system, talk)
    shown = [item for _ in range(5) for item in answered(system, talk, "no")]
    assert shown == best[:25] and system.report()["refreshed"] == 0.25


def test_what_to_look_for_finds_candidates_by_their_text(small_movielens: Path, recommender: Recommender) -> None:
    words = "a scary horror film with a killer"
    model = Scripted({"chat-rec": picks(1, 2, 3, 4, 5), "chat-rec refresh": {"refresh": True, "look_for": words}})
    system = opened(ChatRec, small_movielens, recommender, model)
    talk = dialogue(system, "anything")
    answered(system, talk, "no")
    answered(system, talk)
    ordered = by_behaviour(system, talk, talk.shown[:1])
    texts = torch.nn.functional.normalize(recommender.bundle.generative.T, dim=1).numpy()
    alike = texts @ recommender.text_encoder.encode([words])[0]
    near = set(sorted(ordered, key=lambda item: -alike[item])[:NEAR])
    found = candidates_in(model.prompts("chat-rec")[1])
    assert found == titles(system, [item for item in ordered if item in near][:CANDIDATES])
    assert found != titles(system, ordered[:CANDIDATES])
    assert system.report()["searched"] == 1


def test_a_newcomer_is_answered_too(small_movielens: Path, recommender: Recommender) -> None:
    model = Scripted({"chat-rec": picks(2, 1)})
    system = opened(ChatRec, small_movielens, recommender, model)
    talk = Dialogue(0, 0, 5, np.zeros(0, np.int32), said=["anything"])
    system.meet([talk])
    best = by_behaviour(system, talk)
    assert answered(system, talk) == [best[1], best[0], *best[2:5]]
    assert "chose before, the newest last" not in model.prompts("chat-rec")[0]


def test_in_one_turn_the_picks_come_first_and_behaviour_behind(
    small_movielens: Path, recommender: Recommender
) -> None:
    system = opened(ChatRec, small_movielens, recommender, Scripted({"chat-rec": picks(20, 1)}))
    requests = requests_of(system, 40)
    histories = system.dataset.request_histories(requests)
    targets = requests["target"].to_numpy().astype(np.int64)
    plain = ranks_of_scores(torch.from_numpy(system.behaviour(histories)), targets, histories)
    ranks = ranks_of_scores(torch.from_numpy(system.scores(requests)), targets, histories)
    # The twentieth goes to the front: all before it stand one place lower, and nothing behind it moves.
    expected = np.where(plain == 1, 2, np.where(plain == 20, 1, np.where(plain < 20, plain + 1, plain)))
    assert ranks.tolist() == expected.tolist() and len(set(ranks.tolist())) > 10


def test_conversations_survive_an_endpoint_that_fails_half_of_its_calls(
    small_movielens: Path, recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    with failing_endpoint(0.5) as endpoint:
        model = OpenAIModel(endpoint.url, "tiny", timeout=2.0, max_retries=0)
        system = opened(ChatRec, small_movielens, recommender, model)
        rows = talk_rows(system.dataset, "test", 4)
        found = evaluate_multi_turn(
            system.dataset, "test", [system], open_user("attributes", system.dataset), rows, asks_model=True
        )
        counts = endpoint.counts()
    report, talks = system.report(), found.systems["chat-rec"]
    # An answer that is no chat completion is asked for once more, as an invalid one.
    assert report["failed_calls"] > 0 and 0 < counts[ANSWERED] == report["calls"] - report["failed_calls"]
    assert report["answers"] == sum(int(outcome or 5) for outcome in talks.outcomes)
    assert talks.tokens[0] > 100
