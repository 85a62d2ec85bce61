"""The intents that a conversation is believed to have."""

import polars as pl
from pydantic import BaseModel, ConfigDict

from latentcrs.recommend import Recommender
from latentcrs.store.session import Session

BELIEVED = 8


class BelievedIntent(BaseModel):
    """An intent that a conversation is believed to have. weight: 0..1 of all. titles: items that it stands for."""

    model_config = ConfigDict(frozen=True)

    label: str
    weight: float
    titles: list[str]


def believed_intents(recommender: Recommender, session: Session) -> list[BelievedIntent]:
    """The `BELIEVED` strongest intents after a session, in order; those of one label are counted together."""
    past, X = recommender.item_numbers(session.past), recommender.embed(session.request)
    unliked = recommender.item_numbers(session.unliked)
    query = recommender.read(past, session.wording, X, unliked)
    believed = recommender.believed(query, recommender.item_numbers(session.listed))
    intents = recommender.bundle.intents.with_columns(pl.Series("weight", believed))
    merged = (
        intents.sort("weight", descending=True)
        .group_by("label", maintain_order=True)
        .agg(pl.col("weight").sum(), pl.col("titles").first())
        .sort("weight", descending=True, maintain_order=True)
    )
    return [BelievedIntent(**row) for row in merged.head(BELIEVED).iter_rows(named=True)]
