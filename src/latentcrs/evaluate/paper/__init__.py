"""Every table and figure of the paper in one resumable run, as one page with ours beside theirs."""

from latentcrs.evaluate.paper.report import evaluate_paper
from latentcrs.evaluate.paper.steps import STEPS

__all__ = ["STEPS", "evaluate_paper"]
