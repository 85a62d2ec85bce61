"""CRM (Sun & Zhang, SIGIR 2018): a belief tracker, a factorisation machine, and a policy that asks or recommends."""

from latentcrs.data.dataset import PreparedDataset
from latentcrs_lab.systems.crm.settings import CrmSettings
from latentcrs_lab.systems.crm.system import Crm
from latentcrs_lab.systems.crm.train import train_crm

__all__ = ["Crm", "CrmSettings", "open_crm", "train_crm"]


def open_crm(dataset: PreparedDataset, settings: CrmSettings | None = None) -> Crm:
    """CRM for this data set; trained at first use, and kept.

    Raises:
        UserError: see `train_crm`.
    """
    return Crm(dataset, train_crm(dataset, settings))
