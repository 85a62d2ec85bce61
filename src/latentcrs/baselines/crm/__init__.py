"""CRM (Sun & Zhang, SIGIR 2018): a belief tracker, a factorisation machine, and a policy that asks or recommends."""

from latentcrs.baselines.crm.settings import CrmSettings
from latentcrs.baselines.crm.system import Crm
from latentcrs.baselines.crm.train import train_crm
from latentcrs.data.dataset import PreparedDataset

__all__ = ["Crm", "CrmSettings", "open_crm", "train_crm"]


def open_crm(dataset: PreparedDataset, settings: CrmSettings | None = None) -> Crm:
    """CRM for this data set; trained at first use, and kept.

    Raises:
        UserError: see `train_crm`.
    """
    return Crm(dataset, train_crm(dataset, settings))
