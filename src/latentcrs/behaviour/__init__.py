"""Behaviour encoders: from what a user did to one vector, S, and one vector per item, V."""

from latentcrs.behaviour.encoder import NETWORKS, BehaviourEncoder
from latentcrs.behaviour.training import TrainingConfig

__all__ = ["NETWORKS", "BehaviourEncoder", "TrainingConfig"]
