"""The configuration of a training run, its presets, and `--set K=V`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from latentcrs.base.errors import UserError
from latentcrs.behaviour import TrainingConfig
from latentcrs.behaviour.encoder import network_config

PRESETS = ("default", "paper")


class Section(BaseModel):
    """Configuration refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")
    switches: ClassVar[frozenset[str]] = frozenset()
    """Settings written down only where they are no defaults: older fingerprints, of before such a switch, stay."""

    @model_serializer(mode="wrap")
    def _without_idle_switches(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        idle = {name for name in self.switches if getattr(self, name) == type(self).model_fields[name].default}
        return {name: value for name, value in written(self).items() if name not in idle}


class BehaviourSection(Section):
    """Which behaviour encoder, its shape, how it is trained."""

    encoder: str = "sasrec"
    network: dict[str, Any] = Field(default_factory=dict)
    """Settings of the network, e.g. width, length, dropout (see `SASRecConfig`, `ICLRecConfig`)."""
    training: TrainingConfig = TrainingConfig()
    unordered: int = Field(0, ge=0)
    """Width of the part of S and V that knows no order, for short histories; 0: none."""
    switches = frozenset({"unordered"})

    @model_validator(mode="after")
    def _network_is_valid(self) -> BehaviourSection:
        try:
            network_config(self.encoder, self.network)
        except ValidationError as error:
            raise _refused(error, self.network, "behaviour.network") from None
        return self


class ModelSection(Section):
    """Shape of the inference and the generative model; which additions to the paper are on."""

    intents: int = Field(512, ge=2)
    """K."""
    form: Literal["factorised", "full"] = "factorised"
    """g of section 5.5, or of Eq. 7 in full."""
    text_hidden: int = Field(256, ge=1)
    """Hidden width of P, the projection of the request's embedding."""
    hidden: int = Field(256, ge=1)
    """Hidden width of the FFN over [S ; P X]."""
    dropout: float = Field(0.1, ge=0, lt=1)
    item_text: bool = False
    """Addition: an item is [V ; T], its content embedding beside its collaborative one."""
    skip: bool = False
    """Addition: terms past the intents: an MLP of [S ; X] against the items, a S.V, and b X W_x . T W_t."""
    text_width: int = Field(128, ge=1)
    """Width of X W_x and T W_t."""
    popularity: bool = False
    """Addition: a weight on the log of how often an item was chosen in training."""
    clues: bool = False
    """Addition: bonuses beside the inner product: BM25 of the words as they are, and co-mentions of what is named
    where conversations were imported; how much each counts is learned from the request."""
    calibrated: bool = False
    """Addition: how much each part of h counts is learned anew on the validation rows; wants the other additions."""
    closeness: float = Field(0.0, ge=0)
    """Addition: how much items count that are close to the few that a request names, in standard deviations of its
    scores for each of their closeness (`recommend.closeness`); nothing of training depends on it."""
    centroids: Literal["users", "items"] = "users"
    """Ablation: whose vectors K-means clusters into intents: the training users' S (Eq. 3), or the items' V."""
    switches = frozenset({"centroids", "clues", "calibrated", "closeness"})

    @model_validator(mode="after")
    def _has_what_is_calibrated(self) -> ModelSection:
        if self.calibrated and not (self.skip and self.popularity and self.clues):
            self.calibrated = False
        return self


class EMSection(Section):
    """Algorithm 1: the losses' weights and the schedule."""

    negatives: Annotated[int, Field(ge=1)] | Literal["all"] = 10
    """Negatives of every softmax: a number drawn per row, or all: the whole catalogue (sampled with log-Q correction
    above `full_softmax_items`)."""
    full_softmax_items: int = 50_000
    samples: int = Field(4096, ge=1)
    """Negatives of the sampled softmax above that, shared by a batch."""
    infonce_negatives: int = Field(10, ge=1)
    """Negatives per row of Eq. 8 under the full form of g, whose normaliser differs from row to row."""
    alpha_e: float = Field(5.0, ge=0)
    alpha_m: float = Field(5.0, ge=0)
    kl: float = Field(1.0, ge=0)
    """Lambda of Eq. 11."""
    infonce: float = Field(0.0, ge=0)
    """Weight of Eq. 8: 0 for MovieLens-1M and 1 for the others, as published."""
    intent_rec: float = Field(0.0, ge=0)
    """Addition: weight of -log sum_j f_j p(v | m_j), the likelihood of the intents as if they were alone, beside
    alpha_m L_rec^M over all of h: the terms past them would otherwise do all of the work, and f hear no words."""
    batch: int = Field(480, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    """Adam's, falling linearly to 1% over `epochs`."""
    weight_decay: float = Field(0.0, ge=0)
    epochs: int = Field(50, ge=1)
    """At most, for each of the three stages."""
    min_steps: int = Field(0, ge=0)
    """Few rows get more epochs, so that a stage may take this many batches; patience grows with them."""
    patience: int = Field(20, ge=1)
    """Epochs without a better validation NDCG@20 after which a stage ends."""
    average: float = Field(0.0, ge=0, lt=1)
    """Addition: validation sees, and a stage ends with, a running mean of the weights; what of it stays each step."""
    max_history: int | None = Field(None, ge=1)
    """Only the newest items of a history are encoded; None: as many as the behaviour encoder sees."""
    raw_rows_only: bool = False
    """Train without the augmented rows (Table 5's "w/o data augmentation")."""
    validation_rows: int = Field(10_000, ge=1)
    seed: int = 0
    scheme: Literal["variational", "direct-kl", "no-inference"] = "variational"
    """Ablations of Table 5. `variational` is Algorithm 1. `no-inference`: "we train the generative model solely using
    the auxiliary recommendation loss": one stage of alpha_m L_rec^M, no q, so neither the KL nor the infoNCE term it
    weighs, and no third stage. `direct-kl`: "we simultaneously train the inference model and the generative model,
    applying an additional KL constraint on the intent distribution": one stage of alpha_e L_rec^E + alpha_m L_rec^M +
    lambda KL(q || f) whose gradient reaches both models; no warm-up of q, no posterior of Eq. 13, no infoNCE."""
    posterior: Literal["soft", "hard"] = "soft"
    """Ablation: what q is drawn to in the E step: the posterior of Eq. 13, or its most probable intent alone."""
    tune_encoder: int = Field(0, ge=0)
    """Ablation: epochs in which L^M trains the behaviour encoder along with f and g, after the three stages."""
    tune_learning_rate: float = Field(1e-4, gt=0)
    switches = frozenset({"scheme", "posterior", "tune_encoder", "tune_learning_rate", "intent_rec", "average"})


class Config(Section):
    """All of it: behaviour encoder, text encoder, intent model, schedule."""

    preset: str = "default"
    text_encoder: str = "minilm"
    behaviour: BehaviourSection = BehaviourSection()
    model: ModelSection = ModelSection()
    em: EMSection = EMSection()


def load_config(
    preset: str = "default", settings: list[str] | tuple[str, ...] = (), sections: Mapping[str, Any] | None = None
) -> Config:
    """The preset `preset` with `settings` of the form "em.alpha_m=1" laid over it, and `sections` as a preset has
    them: {"em": {"alpha_m": 1}}.

    Raises:
        UserError: no such preset, or a setting that is unknown or of the wrong type.
    """
    if preset not in PRESETS:
        raise UserError(f"There is no preset {preset!r}; choose {' or '.join(PRESETS)}.")
    text = resources.files("latentcrs.intent").joinpath(f"presets/{preset}.toml").read_text("utf-8")
    values = tomllib.loads(text)
    _lay_over(values, sections or {})
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write it as KEY=VALUE, for example em.alpha_m=1.")
        # `em.intents` is what people guess first; K is the model's.
        path = {"em.intents": "model.intents"}.get(key.strip(), key.strip()).split(".")
        place = values
        for part in path[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UserError(f"--set {setting}: {part} is a value, not a section.")
        place[path[-1]] = _parsed(value.strip())
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _refused(error, values) from None


def _lay_over(values: dict[str, Any], others: Mapping[str, Any]) -> None:
    """Put `others` into `values`, section by section."""
    for name, value in others.items():
        if isinstance(value, Mapping) and isinstance(values.get(name), dict):
            _lay_over(values[name], value)
        else:
            values[name] = value


def _refused(error: ValidationError, values: dict[str, Any], section: str = "") -> UserError:
    """One sentence about the first of `values` (those of `section`) that cannot be."""
    first = error.errors()[0]
    names, place = [section] if section else [], values
    for part in first["loc"]:  # as far as it names keys; behind them come the alternatives of a type
        if not isinstance(place, dict) or part not in place:
            break
        names.append(str(part))
        place = place[part]
    reason = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
    return UserError(f"Setting {'.'.join(names)} = {place!r}: {reason}.")


def _parsed(value: str) -> Any:
    """A value as TOML reads it; a bare word is a string."""
    try:
        return tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return None if value.lower() in ("none", "null") else value
