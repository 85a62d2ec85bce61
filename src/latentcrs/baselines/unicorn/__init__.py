"""UNICORN (Deng et al., SIGIR 2021): one policy that asks and recommends, on a graph of user, items, attributes."""

from latentcrs.baselines.unicorn.policy import Unicorn
from latentcrs.baselines.unicorn.settings import UnicornSettings
from latentcrs.baselines.unicorn.train import train_unicorn

__all__ = ["Unicorn", "UnicornSettings", "train_unicorn"]
