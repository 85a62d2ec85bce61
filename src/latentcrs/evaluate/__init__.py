"""Protocols, metrics, intervals and tables: how well a bundle does, beside what it must beat."""

from latentcrs.evaluate.one_turn import OneTurnResult, evaluate_one_turn
from latentcrs.evaluate.tables import markdown, print_table

__all__ = ["OneTurnResult", "evaluate_one_turn", "markdown", "print_table"]
