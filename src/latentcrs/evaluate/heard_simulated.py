"""How the requests of the simulated user `attributes` are heard: what it meant to say is known."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.data import PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.evaluate.heard import Masks
from latentcrs.hear import Hearer
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.conditions import Condition

AROUND = 4
"""Years that "around" a year spans."""


def evaluate_simulated(hearer: Hearer, dataset: PreparedDataset, n: int, seed: int = 0) -> dict[str, float | int]:
    """Precision, recall and F1 of what was heard in `n` requests of the test split, rule and wish alike ("f1"), and
    of what was heard as a rule ("f1_rules").

    A condition is heard where a rule or wish lets the same items pass, a year also where it is "around" it; words of
    a plot are no condition here, they rank. The sentences are those that `simulate` writes from this seed.

    Raises:
        UserError: the data set has no requests of the simulated user in its test split.
    """
    rows = dataset.requests.filter((pl.col("split") == "test") & (pl.col("source") == "attributes"))
    if rows.is_empty():
        raise UserError(
            f"{dataset.path} has no simulated test requests; 'latentcrs simulate {dataset.path}' makes them."
        )
    rows = rows.sample(min(n, len(rows)), seed=seed)
    said = AttributesUser(dataset, seed).request(rows)
    masks, items = Masks(dataset.items, dataset.info.columns), dataset.items.to_dicts()
    known: dict[Condition, NDArray[np.bool_]] = {}
    meant = heard = right = right_rules = 0
    with step("Hearing", len(rows)) as bar:
        for request in said:
            conditions = [condition for condition in request.conditions if condition.operator != "says"]
            for condition in conditions:
                if condition not in known:
                    known[condition] = np.array([condition.holds(row) for row in items])
            reading = hearer.read(request.text)
            found = [
                (masks.mask(single), single, is_rule)
                for is_rule, group in ((True, reading.rules), (False, reading.wishes))
                for rule in group
                if rule.rule.column != "text"
                for single in _singly(rule.rule)
            ]
            meant, heard = meant + len(conditions), heard + len(found)
            for condition in conditions:
                same = next(
                    (n for n, (mask, rule, _) in enumerate(found)
                     if (mask == known[condition]).all() or _around(rule, condition)),
                    None,
                )  # fmt: skip
                if same is not None:
                    right, right_rules = right + 1, right_rules + found.pop(same)[2]
            bar.advance()
    return {
        "n": len(rows),
        "precision": right / max(heard, 1),
        "recall": right / max(meant, 1),
        "f1": 2 * right / max(meant + heard, 1),
        "f1_rules": 2 * right_rules / max(meant + heard, 1),
    }


def _around(rule: Rule, condition: Condition) -> bool:
    """Whether a rule is a span of few years with the condition's in it: what "around 1990" says."""
    if condition.role != "year" or rule.column != condition.column or not isinstance(rule.value, list):
        return False
    low, high = float(rule.value[0]), float(rule.value[-1])
    return rule.op == "between" and low <= condition.low and condition.high <= high <= low + AROUND


def _singly(rule: Rule) -> list[Rule]:
    """A rule that wants all of several values, as one rule for each."""
    if rule.op == "has all" and isinstance(rule.value, list):
        return [Rule(column=rule.column, op="has any", value=[value]) for value in rule.value]
    return [rule]
