"""One bundle while it is served: its catalogue as it stands, who hears the rules there, the people it knows."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from latentcrs.base.errors import UserError
from latentcrs.base.files import sha256_of
from latentcrs.hear.open import Extractors, refused_in
from latentcrs.recommend import Recommender, load_bundle
from latentcrs.recommend.bundle import MANIFEST, read_manifest
from latentcrs.recommend.policy import Policies
from latentcrs.serve.catalogue import CatalogueView
from latentcrs.serve.growing import GrowingCatalogue
from latentcrs.serve.people import People
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Session

State = tuple[tuple[str, int, int, int], ...]
"""Name, place on the disk, bytes and time of each file of a folder."""


class ServedBundle:
    """What a service has of one bundle. Another bundle is another object: who took this one has all of it to the end.

    state: the files of its folder when it was read. fingerprint: of its manifest, which has the checksums of the
    others. written: when that was (seconds of Unix time). since: when the bundle was read.
    """

    def __init__(
        self,
        folder: Path,
        store: ConversationStore,
        hearing: Callable[[Recommender], Extractors],
        device: str,
        before: ServedBundle | None = None,
        policies: Policies | None = None,
    ) -> None:
        """`hearing`: makes those who hear the rules of a catalogue. `before`: the one in whose place this comes; it
        lends its text encoder where both were trained with the same. `policies`: what its operator says.

        Raises:
            UserError: no bundle there, a damaged one, or one that the policies do not fit.
            OSError: it went away while it was read.
        """
        manifest = read_manifest(folder)
        self.state, self.fingerprint = state_of(folder), fingerprint_of(folder)
        self.written = (folder / MANIFEST).stat().st_mtime
        self.since = datetime.now(UTC)
        same = before is not None and before.recommender.bundle.info.text_encoder == manifest.text_encoder
        encoder = before.recommender.text_encoder if before is not None and same else None
        recommender = Recommender(load_bundle(folder, device), encoder)
        self.policies = policies or Policies()
        for policy in (self.policies, *self.policies.keys.values()):
            policy.check(recommender)
        recommender.always, recommender.refused_in = self.policies.always, refused_in
        self.growing = GrowingCatalogue(recommender, store, hearing)
        self.people = People(store, recommender.bundle.info, self.growing.__contains__)
        if before is not None:
            self.people.knows_dataset = before.people.knows_dataset

    @property
    def recommender(self) -> Recommender:
        """Over the catalogue as it stands; another one when items join it."""
        return self.growing.recommender

    @property
    def catalogue(self) -> CatalogueView:
        """The catalogue as it stands."""
        return self.growing.view

    def extractors(self) -> Extractors:
        """Who hears the rules of the catalogue as it stands; their `recommender` says which that is."""
        return self.growing.extractors()

    def warm(self) -> None:
        """Load what the first turn would otherwise wait for: the text encoder, and the people of the data set."""
        self.recommender.embed("hello")
        self.extractors()
        self.people.trained("", "")

    def prove(self, before: ServedBundle) -> None:
        """Make a recommendation, of the items that joined the catalogue since too: what cannot do that, or does not
        take an item that `before` has, is not fit to take its place. Nothing is left for the first turn to wait for.

        Raises:
            UserError: why it cannot.
        """
        self.growing.catch_up()
        for item_id, reason in self.growing.left_out.items():
            if item_id in before.growing:
                raise UserError(reason)
        self.warm()
        self.recommender.recommend(request="hello", k=1)


def state_of(folder: Path) -> State:
    """The files of a bundle's folder as they lie there; nothing where no bundle is.

    A folder in the place of another has other files, even where their times are the same.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.stat()) for entry in entries)
    except OSError:  # between two renames
        return ()
    if all(name != MANIFEST for name, _ in found):
        return ()
    return tuple((name, about.st_ino, about.st_size, about.st_mtime_ns) for name, about in found)


def fingerprint_of(folder: Path) -> str:
    """The beginning of the SHA-256 of a bundle's manifest, as `sha256sum bundle.json` has it.

    Raises:
        OSError: there is none.
    """
    return sha256_of(folder / MANIFEST)[:12]


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
    unliked, liked = recommender.item_numbers(session.unliked), recommender.item_numbers(session.alike)
    query = recommender.read(past, session.wording, X, unliked, liked)
    believed = recommender.believed(query, recommender.item_numbers(session.listed))
    intents = recommender.bundle.intents.with_columns(pl.Series("weight", believed))
    merged = (
        intents.sort("weight", descending=True)
        .group_by("label", maintain_order=True)
        .agg(pl.col("weight").sum(), pl.col("titles").first())
        .sort("weight", descending=True, maintain_order=True)
    )
    return [BelievedIntent(**row) for row in merged.head(BELIEVED).iter_rows(named=True)]
