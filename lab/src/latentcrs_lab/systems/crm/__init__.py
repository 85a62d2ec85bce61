"""CRM (Sun & Zhang, SIGIR 2018): a belief tracker, a factorisation machine, and a policy that asks or recommends."""

from latentcrs_lab.systems.crm.settings import CrmSettings
from latentcrs_lab.systems.crm.system import Crm
from latentcrs_lab.systems.crm.train import train_crm

__all__ = ["Crm", "CrmSettings", "train_crm"]
