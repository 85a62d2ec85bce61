"""CRIF (Hu et al., SIGIR 2022): a graph's representations, and a decision between asking and recommending that is
learned by inverse reinforcement learning.
"""

from latentcrs_lab.systems.crif.settings import CrifSettings, DecisionSettings, OfflineSettings
from latentcrs_lab.systems.crif.train import train_crif

__all__ = ["CrifSettings", "DecisionSettings", "OfflineSettings", "train_crif"]
