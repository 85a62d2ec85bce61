"""The facets that requests name, heard once per data set by the extractor of LatentCRS, and kept."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.files import atomic_file
from latentcrs.base.progress import step
from latentcrs.data.dataset import PreparedDataset
from latentcrs.fit.training import fingerprint, work_folder
from latentcrs.hear import Hearer
from latentcrs.systems.facets import Facets


class FacetHearing:
    """Hears facets in what people say: the attribute that a user opens with, in systems that only take yes and no."""

    def __init__(self, dataset: PreparedDataset, facets: Facets) -> None:
        self.dataset, self.facets = dataset, facets
        self._extractor = Hearer(dataset.items, dataset.info.columns)

    def heard(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The facets wanted, and not wanted, in each of B texts: (B, F), (B, F)."""
        accepted, rejected = np.zeros((2, len(texts), len(self.facets)), bool)
        for row, text in enumerate(texts):
            yes, no = self.facets.heard(self._extractor.extract(text))
            accepted[row, yes], rejected[row, no] = True, True
        return accepted, rejected

    def of_requests(self, requests: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """`heard` of the texts of `requests`, kept from one run to the next."""
        texts: list[str] = requests["text"].to_list()
        mark = fingerprint("facets heard", self.dataset.info.checksums["items.parquet"], self.facets.values, texts)
        path = work_folder() / f"facets-{mark}.parquet"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as temporary:
                self._listen(texts).write_parquet(temporary)
        table = pl.read_parquet(path)
        accepted, rejected = np.zeros((2, len(texts), len(self.facets)), bool)
        for into, wanted in ((accepted, True), (rejected, False)):
            part = table.filter(pl.col("wanted") == wanted)
            into[part["row"].to_numpy(), part["facet"].to_numpy()] = True
        return accepted, rejected

    def _listen(self, texts: Sequence[str]) -> pl.DataFrame:
        """One row for each facet of each text."""
        found: list[tuple[int, int, bool]] = []
        with step("hearing the facets of requests", len(texts)) as bar:
            for row, text in enumerate(texts):
                yes, no = self.facets.heard(self._extractor.extract(text))
                found += [(row, facet, True) for facet in yes] + [(row, facet, False) for facet in no]
                bar.advance()
        schema = {"row": pl.Int64, "facet": pl.Int64, "wanted": pl.Boolean}
        return pl.DataFrame(found, schema=schema, orient="row")
