"""Every table and figure of the paper in one resumable run, as one page with ours beside theirs."""

from latentcrs_lab.paper.report import evaluate_paper
from latentcrs_lab.paper.steps import STEPS

__all__ = ["STEPS", "evaluate_paper"]
