"""Whether intents hear words: how much more of a value intents believe in when somebody asks for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.data.nouns import guess_noun
from latentcrs.evaluate.intent_categories import map_column
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.fit.rows import training_sequences
from latentcrs.recommend import Recommender
from latentcrs.recommend.bundle import relevance
from latentcrs.recommend.explain import values_of

PEOPLE, FIRST, LEAST = 300, 3, 20
"""People who ask, intents that a page shows first, and the fewest items of a value that is asked for."""
TOP = 25


@dataclass(frozen=True)
class ValueHeard:
    """One value: its share under f and q, their ratio, and of the intents shown first the share that it leads."""

    value: str
    items: int
    f: float
    q: float
    lift: float
    shown: float


@dataclass(frozen=True)
class HeardIntents:
    """All values of one column. lift: mean of the values' ratios; shown: mean share of the intents shown first whose
    commonest value is the one that was asked for, or as common as any.
    """

    column: str
    people: int
    lift: float
    shown: float
    values: list[ValueHeard]


@torch.inference_mode()
def heard_intents(
    bundle: str | Path, dataset: str | Path | None = None, people: int = PEOPLE, column: str | None = None
) -> HeardIntents:
    """Let people of the log ask "I'd like a VALUE movie" for every value of a category column and look at intents.

    The share of a value under intents is what they expect of it: sum over intents and items of their probability and
    p(v | m), for items that have the value. f hears the words, q does not.

    Raises:
        UserError: no bundle or data set there, or a catalogue without categories that `LEAST` items share.
    """
    opened = EvaluationBundle(bundle, dataset, "cpu")
    recommender, items = Recommender(opened.bundle, opened.encoder), opened.bundle.items
    model = opened.bundle.generative
    likelihood = torch.log_softmax(model.item_vectors() @ model.intent_vectors().T, 0).exp()  # (n, K)
    top = np.argsort(-relevance(model), axis=1, kind="stable")[:, :TOP]
    chosen = map_column(items, opened.bundle.columns, top, column)
    values, has = ([], np.zeros((len(items), 0), bool)) if chosen is None else membership(items[chosen])
    if not values:
        raise UserError("The catalogue has no category that enough items share; intents cannot be asked for one.")
    expected = torch.from_numpy(has.astype(np.float32)).T @ likelihood  # (values, K)
    having = has[top].sum(1)  # (K, values) how many of an intent's items have each
    commonest = having == having.max(1, keepdims=True)  # two values that the same items have are both
    sequences = training_sequences(opened.dataset)
    some = np.sort(np.random.default_rng(0).permutation(len(sequences))[:people])
    pasts = list(sequences[some])
    S = opened.bundle.behaviour.encode_tensor(sequences[some])
    under_q = (opened.bundle.inference.log_q(S).exp() @ expected.T).mean(0).numpy()
    noun = guess_noun(opened.dataset) or "item"
    found = []
    with step("asking for every value", len(values)) as bar:
        for number, value in enumerate(values):
            request = f"I'd like {'an' if value[0].lower() in 'aeiou' else 'a'} {value} {noun}"
            X = np.repeat(opened.encoder.encode([request]), len(some), 0)
            queries = recommender.read_many(pasts, [request] * len(some), X)
            f = float((torch.from_numpy(np.stack([query.f for query in queries])) @ expected[number]).mean())
            first = [np.argsort(-recommender.believed(query), kind="stable")[:FIRST] for query in queries]
            shown = float(np.mean([commonest[intents, number] for intents in first]))
            q = float(under_q[number])
            found.append(ValueHeard(value, int(has[:, number].sum()), f, q, f / q, shown))
            bar.advance()
    lift, shown = (float(np.mean([getattr(each, name) for each in found])) for name in ("lift", "shown"))
    return HeardIntents(str(chosen), len(some), lift, shown, found)


def membership(column: pl.Series) -> tuple[list[str], NDArray[np.bool_]]:
    """The values that at least `LEAST` items have, the commonest first, and who has them, (n, values)."""
    lists = pl.col(column.name) if column.dtype == pl.List(pl.String) else pl.concat_list(column.name)
    flat = values_of(column.to_frame(), [lists])
    counts = (
        flat.group_by("value").len().filter(pl.col("len") >= LEAST).sort("len", "value", descending=[True, False])
    )
    values = counts["value"].to_list()
    has = np.zeros((len(column), len(values)), bool)
    places = {value: place for place, value in enumerate(values)}
    for item, value in flat.filter(pl.col("value").is_in(values)).iter_rows():
        has[item, places[value]] = True
    return values, has
