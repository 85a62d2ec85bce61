"""The agent: one plan for a whole turn, executed, judged by a critic, and made anew where that sends it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from latentcrs.data import PreparedDataset
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender
from latentcrs_lab.systems.interec.demonstrations import Demonstrations
from latentcrs_lab.systems.interec.plan import Plans
from latentcrs_lab.systems.interec.tools import Candidates, Tools
from latentcrs_lab.systems.named import NamedTitles
from latentcrs_lab.systems.prompted import LISTED, Behaviour, PromptedSystem, Turn, share

PLAN_TOKENS, CRITIC_TOKENS = 600, 150
POPULAR = 30
"""Items of which demonstrations are made."""
JUDGED = 5
"""Items of the list that the critic sees."""


class Verdict(BaseModel):
    """What the critic says of a plan."""

    good: bool
    advice: Annotated[str, Field(max_length=240)]


class InteRecAgent(PromptedSystem):
    """Plan first: the model says at once which tools are used with what input (`Plans.schema`), shown the columns of
    the catalogue and the demonstrations nearest to what the person said last. The tools are rules, similar items and
    behaviour, on a list of candidates (`Tools`). Then a critic, the same model, sees what each step did and the
    first items; where it sends the plan back with advice, there is a second plan, which stands.

    A plan that the model fails to make, or an empty one, leaves the order of behaviour, which also is that of what
    stands behind the last candidate. A second plan that fails leaves the first.
    """

    name = "interec"

    def __init__(
        self, dataset: PreparedDataset, recommender: Recommender, behaviour: Behaviour, model: ChatModel, k: int = 5
    ) -> None:
        """See `PromptedSystem`."""
        super().__init__(dataset, recommender, behaviour, model, k)
        items, counts = self.dataset.items, self.dataset.training_counts
        named = NamedTitles(items, counts.tolist(), self._year)
        popular = items[np.argsort(-counts, kind="stable")[:POPULAR]].to_dicts()
        self._plans = Plans(items, self.dataset.info.columns)
        self._tools = Tools(self.dataset, self.recommender, self.behaviour, named)
        encoder = self.recommender.text_encoder
        self._demonstrations = Demonstrations(self._plans, popular, self.thing, encoder)

    def _answer(self, turn: Turn) -> list[int]:
        """See `PromptedSystem`."""
        found = self._planned(turn, [], "")
        if found is not None:
            verdict = self._judged(turn, found)
            if verdict is not None and not verdict.good and verdict.advice.strip():
                turn.counts["sent_back"] += 1
                found = self._planned(turn, found.track, verdict.advice) or found
        items = found.ranked() if found is not None else []
        turn.counts["nothing_left"] += found is not None and not items
        turn.talk.words = "; ".join(found.track) if found is not None else ""
        best = turn.talk.best(LISTED + len(items)) if len(items) < turn.wanted else []
        return items + [item for item in best if item not in items]

    def _planned(self, turn: Turn, track: Sequence[str], advice: str) -> Candidates | None:
        """What the tools find by the model's plan. track, advice: what the one before did, and what to do instead."""
        text = self.prompt(
            "interec_plan",
            turn,
            columns=self._plans.columns,
            demonstrations=self._demonstrations.nearest(turn.talk.said[-1]),
            track=track,
            advice=advice,
        )
        plan = turn.ask("interec plan", text, self._plans.schema, PLAN_TOKENS)
        turn.counts["plans"] += 1
        if plan is None:
            turn.counts["invalid_plans"] += 1
            return None
        steps = self._plans.steps(plan)
        turn.counts["empty_plans"] += not steps
        turn.counts["steps"] += len(steps)
        turn.counts.update(f"used: {step.tool}" for step in steps)
        found = self._tools.run(steps, turn.talk)
        turn.counts += found.counts
        return found

    def _judged(self, turn: Turn, found: Candidates) -> Verdict | None:
        items = [self.titled(item) for item in found.ranked()[:JUDGED]]
        text = self.prompt("interec_critic", turn, track=found.track, items=items)
        return turn.ask("interec critic", text, Verdict, CRITIC_TOKENS)

    def _told(self, counts: Counter[str]) -> dict[str, float]:
        """plans: asked for. invalid_plans, empty_plans, unranked: the shares of them that the model did not make,
        that have no step, that rank nothing. sent_back, nothing_left: the shares of answers whose first plan the
        critic refused, and whose last plan left no candidate. steps: per plan that was made, and `used: ...` by tool.
        titles in plans, and the share that the catalogue has. unfit: rules that do not fit the catalogue.
        """
        made = counts["plans"] - counts["invalid_plans"]
        tools = {name: count for name, count in sorted(counts.items()) if name.startswith("used: ")}
        return {
            "plans": counts["plans"],
            "invalid_plans": share(counts["invalid_plans"], counts["plans"]),
            "empty_plans": share(counts["empty_plans"], counts["plans"]),
            "unranked": share(counts["unranked"], counts["plans"]),
            "sent_back": share(counts["sent_back"], counts["answers"]),
            "nothing_left": share(counts["nothing_left"], counts["answers"]),
            "steps": share(counts["steps"], made),
            **tools,
            "titles": counts["titles"],
            "match_rate": share(counts["matched"], counts["titles"]),
            "unfit": counts["unfit"],
        }
