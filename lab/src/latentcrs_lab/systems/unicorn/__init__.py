"""UNICORN (Deng et al., SIGIR 2021): one policy that asks and recommends, on a graph of user, items, attributes."""

from latentcrs_lab.systems.unicorn.policy import Unicorn
from latentcrs_lab.systems.unicorn.settings import UnicornSettings
from latentcrs_lab.systems.unicorn.train import train_unicorn

__all__ = ["Unicorn", "UnicornSettings", "train_unicorn"]
