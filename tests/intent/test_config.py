"""Claims about the configuration: its presets, and what `--set` takes and refuses."""

from __future__ import annotations

import pytest

from latentcrs.base.errors import UserError
from latentcrs.intent import PRESETS, load_config


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_loads_and_knows_its_name(preset: str) -> None:
    assert load_config(preset).preset == preset


def test_paper_is_as_published() -> None:
    config = load_config("paper")
    assert (config.model.intents, config.model.form) == (512, "factorised")
    assert not (config.model.item_text or config.model.skip or config.model.popularity)
    em = config.em
    assert (em.batch, em.negatives, em.epochs, em.patience, em.max_history) == (480, 10, 50, 20, 25)
    assert (em.alpha_e, em.alpha_m, em.infonce, em.learning_rate) == (5, 5, 0, 1e-3)


def test_default_uses_every_negative_and_item_text() -> None:
    config = load_config()
    assert config.preset == "default"
    assert config.em.negatives == "all"
    assert config.model.item_text


def test_settings_lie_over_the_preset_and_the_last_one_counts() -> None:
    settings = [
        "em.alpha_m=1",
        " em.negatives = 50 ",
        "model.item_text=true",
        "text_encoder=prompteol:a b",
        "em.alpha_m=2",
    ]
    config = load_config("paper", [*settings, "behaviour.network.width=32", "em.max_history=none"])
    assert (config.em.alpha_m, config.em.negatives, config.model.item_text) == (2, 50, True)
    assert config.text_encoder == "prompteol:a b"
    assert config.behaviour.network == {"width": 32}
    assert config.em.max_history is None
    assert config.em.alpha_e == 5


def test_intents_may_be_written_under_em() -> None:
    assert load_config("default", ["em.intents=32"]).model.intents == 32


def test_a_preset_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"'best'.*default or paper"):
        load_config("best")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("em.alpha_m", r"em\.alpha_m.*KEY=VALUE"),
        ("em.alfa_m=1", r"em\.alfa_m"),
        ("whatever=1", r"whatever"),
        ("em.alpha_m=much", r"em\.alpha_m.*much"),
        ("em.epochs=0", r"em\.epochs.*0"),
        ("em.negatives=0", r"em\.negatives.*0"),
        ("em.negatives=some", r"em\.negatives.*some"),
        ("model.form=other", r"model\.form.*other"),
        ("model.intents=1", r"model\.intents.*1"),
        ("em.batch.size=3", r"batch"),
        ("model=3", r"model.*3"),
        ("behaviour.encoder=gru4rec", r"behaviour\.encoder.*gru4rec"),
        ("behaviour.network.widht=32", r"behaviour\.network\.widht"),
        ("behaviour.network.heads=3", r"behaviour\.network.*heads"),
        ("behaviour.training.patience=-1", r"behaviour\.training\.patience"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_sentence_that_names_it(setting: str, named: str) -> None:
    with pytest.raises(UserError, match=named) as refused:
        load_config("default", [setting])
    assert "\n" not in str(refused.value)


def test_a_switch_that_is_off_is_not_written_down() -> None:
    idle, switched = load_config(), load_config("default", ["em.posterior=hard", "model.centroids=items"])
    assert not {"scheme", "posterior", "tune_encoder", "tune_learning_rate"} & idle.model_dump()["em"].keys()
    assert "centroids" not in idle.model.model_dump()
    assert switched.model_dump()["em"]["posterior"] == "hard"
    assert switched.model_dump()["model"]["centroids"] == "items"
    for config in (idle, switched):
        assert type(config).model_validate_json(config.model_dump_json()) == config
