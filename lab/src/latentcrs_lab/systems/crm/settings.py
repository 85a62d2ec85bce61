"""The settings of CRM; which of them were tuned, and how, says lab/docs/systems/crm.md."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CrmSettings(BaseModel):
    """What CRM is trained with. Whatever is changed here, even what has no effect, trains a model of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: int = Field(5, ge=2)
    """Of a conversation, at most."""
    shown: int = Field(5, ge=1)
    """Items in a recommendation."""
    seed: int = 0

    # What users say on training rows.
    listened: int = Field(8000, ge=1)
    """Rows whose words the tracker learns from; and, of others, the policy: half as many."""
    gram_count: int = Field(3, ge=1)
    """Utterances that an n-gram has to occur in."""

    # The belief tracker.
    mentions: int = Field(10, ge=1)
    """How often a value has to be told in training to be a class of its own; others are known by their names."""
    gram_width: int = Field(128, ge=1)
    hidden: int = Field(128, ge=1)
    tracker_rounds: int = Field(15, ge=1)
    """Of `tracker_steps` batches each."""
    tracker_steps: int = Field(200, ge=1)
    tracker_batch: int = Field(48, ge=1)
    tracker_rate: float = Field(3e-3, gt=0)

    # The factorisation machine.
    width: int = Field(128, ge=1)
    attributes: bool = True
    """Items have their values as features beside their number; the paper has the number alone."""
    heard_share: float = Field(0.0, ge=0, le=1)
    """Share of a batch whose belief is the tracker's own, of words; the rest is drawn from the catalogue."""
    told: int = Field(6, ge=1)
    """Conditions that a drawn belief holds, at most."""
    machine_rounds: int = Field(15, ge=1)
    machine_steps: int = Field(200, ge=1)
    machine_batch: int = Field(1024, ge=1)
    machine_rate: float = Field(3e-3, gt=0)
    full_softmax_items: int = 50_000
    """Catalogues up to here are ranked whole in training; above, against `samples` drawn items."""
    samples: int = 4096

    # The policy.
    policy_hidden: int = Field(64, ge=1)
    questions: int = Field(2, ge=0)
    """Of the max-entropy rule, before it recommends."""
    imitation_rounds: int = Field(4, ge=0)
    reinforce_rounds: int = Field(20, ge=0)
    sessions: int = Field(256, ge=1)
    """Side by side, in one update."""
    updates: int = Field(5, ge=1)
    """In a round."""
    policy_rate: float = Field(3e-3, gt=0)
    success: float = 1.0
    """Reward for showing the item."""
    quits: float = -0.5
    """Reward when the user leaves without it after the last turn."""
    turn_cost: float = -0.1
    """Reward of every turn."""
    exploring: float = Field(0.01, ge=0)
    """Weight of the policy's entropy."""
