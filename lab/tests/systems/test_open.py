"""Claims about the other systems in evaluations: they are in the tables, and say what became of their calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompted_stubs import Scripted

from latentcrs.base.errors import UserError
from latentcrs.evaluate.multi_turn_tables import markdown_of
from latentcrs.evaluate.one_turn import HistoryWindow, evaluate_one_turn
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.evaluate.tables import markdown
from latentcrs.evaluate.talks import multi_turn
from latentcrs.systems.asking import FacetDialogues
from latentcrs_lab.systems import ASKED, TRAINED
from latentcrs_lab.systems.crif.settings import CrifSettings, DecisionSettings, OfflineSettings
from latentcrs_lab.systems.crm import Crm, CrmSettings
from latentcrs_lab.systems.unicorn import UnicornSettings

BRIEFLY = {
    "unicorn": UnicornSettings(steps=20, rows=64, rounds=2, updates=1, validate_every=1, validation_rows=40),
    "crif": CrifSettings(offline=OfflineSettings(width=8, epochs=1), decision=DecisionSettings(epochs=1)),
    "crm": CrmSettings(
        listened=60, gram_width=8, hidden=8, tracker_rounds=1, tracker_steps=5, machine_rounds=1, machine_steps=5,
        imitation_rounds=1, reinforce_rounds=1, updates=1, sessions=16,
    ),
}  # fmt: skip
FAMOUS = ["Star Wars", "Fargo", "Titanic", "Toy Story", "No Such Film"]


@pytest.fixture(autouse=True)
def _own_cache(small_movielens_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path / "work"))


@pytest.fixture
def opened(bundle: Path) -> EvaluationBundle:
    return EvaluationBundle(bundle, device="cpu")


def test_every_trained_system_opens_by_its_name_and_once(
    opened: EvaluationBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, settings in BRIEFLY.items():
        module = f"latentcrs_lab.systems.{name}.train.{type(settings).__name__}"
        monkeypatch.setattr(module, lambda made=settings: made)
    opened.dataset.requests = opened.dataset.requests.gather_every(12)  # each has to be heard
    for name in TRAINED:
        system = opened.baseline(name)
        assert isinstance(system, Crm if name == "crm" else FacetDialogues)
        assert opened.baseline(name) is system
        assert getattr(system, "name", None) == name


@pytest.mark.usefixtures("brief_paper")
def test_other_systems_are_ranked_on_the_same_requests(bundle: Path) -> None:
    found = evaluate_one_turn(bundle, "test", device="cpu", sample=6, baselines=["attributes"])
    assert found.systems["attributes"].means["recall@20"] >= found.systems["popularity"].means["recall@20"]
    assert "| attribute filtering |" in markdown(found) and "reports" not in found.about
    assert found.comparisons["recall@5"]["best_other"] in found.systems


def test_what_a_model_named_is_counted_in_both_protocols(opened: EvaluationBundle) -> None:
    model = Scripted({"zero-shot": {"titles": FAMOUS}})
    talks = multi_turn(opened, ("zero-shot", "attributes"), "attributes", model, n=5)
    report = talks.about["reports"]["zero-shot"]
    assert report["answers"] == report["calls"] == talks.systems["zero-shot"].tokens[0] / 10 * report["answers"]
    assert report["titles"] == 5 * report["answers"] and 0 < report["match_rate"] <= 0.8
    assert f"match rate {report['match_rate']:,.10g}" in markdown_of(talks)
    assert set(talks.about["reports"]) == {"zero-shot"}
    again = multi_turn(opened, ("zero-shot", "attributes"), "attributes", model, n=5)
    assert again.about["reports"] == {} and again.systems["zero-shot"].tokens == talks.systems["zero-shot"].tokens


def test_names_that_nobody_has_and_models_that_are_missing_are_said(opened: EvaluationBundle, bundle: Path) -> None:
    with pytest.raises(UserError, match=r"no system 'unicron'; choose of .*crif, crm, interec, unicorn, zero-shot"):
        evaluate_one_turn(bundle, device="cpu", baselines=["unicron"])
    for name in ASKED:
        with pytest.raises(UserError, match=rf"{name} asks a language model; name one with --llm"):
            opened.baseline(name)
        with pytest.raises(UserError, match="systems that ask one need --llm"):
            multi_turn(opened, (name,))
    with pytest.raises(UserError, match="leave out --history, or --with"):
        evaluate_one_turn(bundle, device="cpu", history=HistoryWindow(0), baselines=["attributes"])
